"""What the page says and draws; how it looks and behaves is tests/integration/report/test_page.py."""

import re
from dataclasses import replace
from datetime import UTC, date, timedelta
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.records.growth import daily_growth
from tasks.records.record import Record
from tasks.report.forecast import days_left
from tasks.report.formats import Look, write
from tasks.report.page.period import WEEKS
from tasks.report.page.run_calendar import calendar
from tasks.report.page.sizes import HEIGHT, LOW, charts, scale
from tasks.report.page.view import view
from tasks.report.rows import Report, StorageRow
from tasks.report.table import space
from tests.unit.report.fleet import NOW, fleet, with_copy

UTC_LOOK = Look(zone=UTC)


def saved(days: float, size: int | None = 100, stored: int | None = 10, source: str = "files") -> Record:
    return Record("shop", "backup", NOW - timedelta(days=days), "ok", source, size=size, stored=stored)


def failed(days: float, action: str = "backup") -> Record:
    return Record("shop", action, NOW - timedelta(days=days), "failed", "files", error="no space")


def test_sizes_stand_on_scales_of_round_numbers_one_for_each_source() -> None:
    files, mariadb = charts(
        [saved(10, 50), saved(5, 100, 40), saved(0, 75, 20), saved(1, 20, source="mariadb")], NOW.date(), UTC
    )

    assert files.line == f"M115 {HEIGHT / 2:g}l5 -{HEIGHT / 2:g}l5 {HEIGHT / 4:g}"
    assert (files.size, files.change, mariadb.source, mariadb.change) == ("75 B", "+50 % in 10 days", "mariadb", "")
    assert (files.top, mariadb.top, files.today) == (100, 20, 125)
    assert files.bars == f"M120 {LOW}V20M125 {LOW}V60"  # not the first, which adds everything
    assert (files.most, mariadb.bars) == (50, "")
    assert files.description == "Size of files since 20 Jul: 75 B, +50 % in 10 days"


def test_sizes_of_little() -> None:
    assert charts([], NOW.date(), UTC) == ()
    assert charts([saved(1, None), failed(1), saved(999)], NOW.date(), UTC) == ()
    (one,) = charts([saved(1, 0)], NOW.date(), UTC)
    assert (one.line, one.top) == (f"M124 {HEIGHT}", 1)


@given(st.integers(min_value=0, max_value=10**18))
def test_a_scale_ends_at_a_round_number_that_is_not_far_above(highest: int) -> None:
    top = scale(highest)
    assert highest <= top <= max(highest * 2.5, 1)
    assert str(top).rstrip("0") in ("1", "2", "5")


def test_the_calendar_has_a_cell_for_each_day_up_to_today() -> None:
    today = date(2026, 11, 22)  # a Sunday
    records = [saved(3), saved(2), failed(2), failed(1, "check"), failed(0, "restore"), saved(9999)]
    drawn = calendar(records, ["files"], today, UTC)

    assert drawn.saved == "M221 39h11v11h-11z"  # Thursday of the last week
    assert [(day.kind, day.x, day.y) for day in drawn.marked] == [("failed", 221, 52), ("failed", 221, 65)]
    assert [day.description for day in drawn.marked] == [
        "20 Nov: backup files: no space; files saved",
        "21 Nov: check files: no space; no backup of files recorded",
    ]
    assert len(re.findall("M", drawn.empty)) == WEEKS * 7 - 3
    assert (
        drawn.description == "Runs since 20 Jul: 1 day with every source saved, 2 with a failure, 122 without a backup"
    )
    new = calendar([saved(2)], ["files"], today, UTC)
    assert len(re.findall("M", new.empty)) == 2  # days before the first run are no days without a backup


def test_a_day_is_saved_when_every_source_was() -> None:
    records = [
        *(saved(6, source=source) for source in ("files", "mariadb", "binlog")),
        saved(5),
        *(saved(4, source=source) for source in ("files", "mariadb")),
        replace(saved(4, source="binlog"), action="unchanged"),  # nothing new: all of it is there
        *(
            replace(saved(3, source=source), outcome="warning", error="odd")
            for source in ("files", "mariadb", "binlog")
        ),
        saved(2),
        *[replace(failed(2), source="mariadb", error="may not RELOAD")] * 2,
        *(saved(1, source=source) for source in ("mariadb", "binlog")),
    ]
    drawn = calendar(records, ["files", "mariadb", "binlog"], NOW.date(), UTC)

    assert len(re.findall("M", drawn.saved)) == 2
    assert [(day.kind, day.description) for day in drawn.marked] == [
        ("partly", "17 Nov: files saved; no backup of mariadb recorded; no backup of binlog recorded"),
        (
            "warned",
            "19 Nov: backup files: odd; backup mariadb: odd; backup binlog: odd; files saved; mariadb saved; binlog saved",
        ),
        ("failed", "20 Nov: backup mariadb: may not RELOAD; files saved; no backup of binlog recorded"),
        ("partly", "21 Nov: mariadb saved; binlog saved; no backup of files recorded"),
    ]
    assert drawn.description == "Runs since 20 Jul: 3 days with every source saved, 2 with some only, 1 with a failure"


def test_each_copy_of_an_app_has_its_own_history() -> None:
    report = with_copy(fleet(), "shop", "vault")

    (shop,) = (app for app in view(report, UTC_LOOK).apps if app.name == "shop")
    (alone,) = (app for app in view(fleet(), UTC_LOOK).apps if app.name == "shop")

    of_box, of_vault = shop.repositories
    assert (of_box, of_vault.storage) == (alone.repositories[0], "vault")
    assert [(day.kind, day.description[:6]) for day in of_vault.calendar.marked][-4:] == [
        ("partly", "19 Nov"),
        ("failed", "20 Nov"),
        ("failed", "21 Nov"),
        ("failed", "22 Nov"),
    ]
    assert of_vault.charts[0].line != of_box.charts[0].line
    assert [run.outcome for run in of_vault.runs][:6] == ["failed"] * 6
    labels = ["files on box", "mariadb on box", "files on vault", "mariadb on vault"]
    assert [source.label for source in shop.sources] == labels
    assert (shop.status, shop.statuses) == ("failed", "ok failed")
    assert [source.label for source in alone.sources] == ["files", "mariadb"]


def test_an_app_is_as_old_and_as_unproven_as_its_worst_source() -> None:
    report = fleet()
    files, mariadb = report.apps[:2]
    old = replace(mariadb, last=NOW - timedelta(days=3), proven=None)

    (app,) = view(replace(report, apps=(files, old)), UTC_LOOK).apps

    assert (app.age, app.proven, app.keys["proven"]) == ("3 days", "never", "")
    assert app.keys["size"] == str((files.size or 0) + (mariadb.size or 0))
    commands = [command for _, command in app.commands]
    assert "inv restore --app shop" in commands
    assert any("--at" in command for command in commands)  # only where every moment can be had
    (other,) = view(replace(report, apps=(files,)), UTC_LOOK).apps
    assert not any("--at" in command for _, command in other.commands)


def test_sources_with_the_same_fault_share_an_entry() -> None:
    report = fleet()
    lost = [replace(row, status="failed", error="the storage is not there") for row in report.apps[:2]]
    other = replace(lost[1], error="no space")

    (together,) = view(replace(report, apps=tuple(lost)), UTC_LOOK).wrong
    apart = view(replace(report, apps=(lost[0], other)), UTC_LOOK).wrong

    assert (together.app, together.sources, together.error) == ("shop", "files + mariadb", "the storage is not there")
    assert [each.sources for each in apart] == ["files", "mariadb"]


def test_it_says_when_it_is_out_of_date() -> None:
    assert view(fleet(), UTC_LOOK).expires == "2026-11-23T05:10:00Z"  # when the first source would be late
    assert view(Report(NOW, ()), UTC_LOOK).expires == "2026-11-23T05:10:00Z"
    assert view(fleet(), replace(UTC_LOOK, lifetime=timedelta(minutes=15))).expires == "2026-11-22T03:25:00Z"
    assert view(fleet(), UTC_LOOK).generated == "Sun 22 Nov 2026 03:10 UTC"


def test_the_growth_leaves_out_the_first_backup_and_other_sources() -> None:
    files = {("shop", "files")}
    records = [saved(10, stored=10**12), saved(5, stored=60), saved(0, stored=40), saved(1, stored=7, source="mariadb")]

    assert daily_growth(files, records, NOW) == 10
    assert daily_growth({("blog", "files")}, records, NOW) is None
    assert daily_growth(files, records[1:2], NOW) is None  # one backup tells no growth
    assert daily_growth(files, [saved(1), saved(0.5)], NOW) is None  # nor does one day


@pytest.mark.parametrize(
    ("used", "size", "growth_", "left"),
    [
        (50, 100, 10.0, 5),
        (100, 100, 10.0, 0),
        (120, 100, 10.0, 0),
        (50, None, 1.0, None),
        (None, 100, 1.0, None),
        (50, 100, None, None),
        (50, 100, 0.0, None),
        (50, 100, 0.0001, None),
    ],
)
def test_days_left(used: int | None, size: int | None, growth_: float | None, left: int | None) -> None:
    growths = {"vault": 1000.0} | ({} if growth_ is None else {"box": growth_})
    row = StorageRow("box", "ssh", used, size)
    report = Report(NOW, (), (row,), growth=growths)
    assert days_left(row, report) == left
    assert (f", full in about {left} days" in space(row, report)) == (left is not None)


def test_the_verdict() -> None:
    report = fleet()
    good = tuple(row for row in report.apps if row.status == "ok")
    one = replace(report.apps[0], status="late")

    assert view(report, UTC_LOOK).verdict == "6 of 56 need a look"
    assert view(Report(NOW, good), UTC_LOOK).verdict == "Every backup is there"
    assert view(Report(NOW, (good[0], one)), UTC_LOOK).verdict == "1 of 2 needs a look"
    assert view(Report(NOW, ()), UTC_LOOK).verdict == "No app is configured"
    levels = [view(each, UTC_LOOK).level for each in (report, Report(NOW, good), Report(NOW, (one,)), Report(NOW, ()))]
    assert levels == ["failed", "ok", "late", "late"]


def test_what_is_wrong_stands_first_the_worst_at_the_top() -> None:
    wrong = [(each.app, each.status) for each in view(fleet(), UTC_LOOK).wrong]

    assert wrong[0] == ("billing", "failed")
    assert {status for _, status in wrong} == {"failed", "missing", "late", "unknown"}
    assert [each.app for each in view(fleet(), UTC_LOOK).remarks] == ["wiki"]  # ok, and more is to be said


def test_storages_say_when_they_are_full() -> None:
    box, vault = view(fleet(), UTC_LOOK).spaces

    assert (box.percent, box.level) == (86.5, "late")
    assert re.search(r"full in about \d+ days if nothing were pruned", " ".join(box.notes))
    assert (vault.percent, vault.notes) == (None, ("connection refused",))


def test_a_forged_date_neither_breaks_nor_stretches_the_page() -> None:
    report = fleet()
    key = ("box", "shop")
    own = report.records[key]
    forged = [replace(own[0], time=time) for time in (NOW.min.replace(tzinfo=UTC), NOW.max.replace(tzinfo=UTC))]
    before = view(report, UTC_LOOK).apps

    assert view(replace(report, records={**report.records, key: [*own, *forged]}), UTC_LOOK).apps == before


def test_the_page_is_one_file_that_asks_no_network() -> None:
    page = write(fleet(), "html", UTC_LOOK)

    assert set(re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)) == set()
    assert "default-src 'none'" in unescape(page)
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_marks_that_turn_the_writing_around_are_taken_out() -> None:
    row = replace(fleet().apps[0], status="failed", error="a\u202eb\x1bc")

    assert r"a\u202eb\u001bc" in write(Report(NOW, (row,)), "html", UTC_LOOK)
