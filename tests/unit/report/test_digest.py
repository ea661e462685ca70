"""The digest: what it counts, what comes first, and that it can be read in mail and chat."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.errors import UsageError
from tasks.inventory.notifications import Notification
from tasks.notify.messages import News
from tasks.records.record import HISTORY, UNCHANGED, Record
from tasks.report import digest_formats
from tasks.report.digest import Digest, Runs, digest
from tasks.report.formats import Look, write
from tasks.report.rows import Report, Row
from tests.unit.report.fleet import fleet
from tests.unit.report.support import NOW, ago

WEEK = timedelta(days=7)
LOOK = Look(width=80)
FILES = Row("shop", "root@shop", "box", "files", "ok", size=120, proven=ago(days=2))
DATABASE = replace(FILES, source="mariadb", status="late", proven=ago(days=20), error="12 days old,\nmax_age is 26 h")
LOGS = replace(FILES, source="binlog", proven=None)


def run(action: str, outcome: str = "ok", source: str | None = "files", **more: object) -> Record:
    return Record("shop", action, **{"time": ago(days=1), "outcome": outcome, "source": source, **more})  # type: ignore[arg-type]


def of(*records: Record, rows: tuple[Row, ...] = (FILES, DATABASE, LOGS)) -> Digest:
    return digest(Report(NOW, rows, records={("box", "shop"): records}), WEEK)


def test_it_counts_the_runs_of_these_days_alone() -> None:
    told = of(
        run("backup", time=ago(days=8), stored=999, size=1),
        run("backup", stored=10, size=100),
        run("backup", "failed"),
        run(UNCHANGED),
        run("backup", stored=5, size=120),
        run("backup", "failed", "mariadb"),
        run("verify"),
        run("verify", "failed", "mariadb"),
        run("check", source=None),
        run("backup", time=ago(hours=-5)),
    )
    assert told.runs == {
        "backup": Runs(5, 2),
        "verify": Runs(2, 1),
        "check": Runs(1),
        "prune": Runs(),
        "restore": Runs(),
    }
    database, files, _ = told.sources  # what needs a look comes first
    assert (files.backups, files.drills, files.added, files.grown) == (Runs(4, 1), Runs(1), 15, 20)
    assert (database.backups, database.added, database.grown) == (Runs(1, 1), None, None)
    assert [each.row.source for each in told.wrong] == ["mariadb"]
    assert told.unproven == []


def test_what_no_drill_has_proven_is_named_but_logs_are_not() -> None:
    told = of(rows=(replace(FILES, proven=None), LOGS))
    assert [each.row.source for each in told.unproven] == ["files"]
    assert "No drill in this time: shop files." in digest_formats.message(told)


def test_more_runs_than_are_read_are_at_least_so_many() -> None:
    told = of(*[run("backup")] * HISTORY)
    assert told.runs["backup"].more
    assert f"Runs: at least {HISTORY} backups." in digest_formats.message(told)


def test_a_message_needs_no_columns_and_begins_with_what_is_wrong() -> None:
    text = digest_formats.message(of(run("backup", stored=5_000_000)))
    assert text.splitlines()[0] == "- shop mariadb: late: 12 days old, max_age is 26 h"
    assert "- shop files: ok, 1 backup, 5 MB added, holds 120 B, proven 2 days ago" in text
    assert not re.search(r"\S  +\S", text)


def test_a_table_of_a_fleet_fits_a_narrow_terminal() -> None:
    lines = digest_formats.write(digest(fleet(), WEEK), "table", LOOK).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("app "))
    table = lines[start : lines.index("", start)]
    assert len(table) == 57
    assert max(map(len, table)) <= 80
    assert lines[0] == "6 of 56 need a look: backups from 15 Nov to 22 Nov"


def test_json_has_bytes_utc_and_null() -> None:
    told = json.loads(digest_formats.write(of(run("backup", stored=5)), "json", LOOK))
    assert (told["since"], told["until"]) == ("2026-11-15T03:10:00Z", "2026-11-22T03:10:00Z")
    assert told["sources"][1] | {"added": 5, "size": 120, "grown": None, "last_good": None} == told["sources"][1]


def test_markdown_shows_hostile_text_literally() -> None:
    text = digest_formats.write(of(rows=(replace(DATABASE, error="<b>|x|\n# y"),)), "markdown", LOOK)
    assert r"- **late** shop mariadb: \<b\>\|x\| \# y" in text


@pytest.mark.parametrize("name", ["html", "csv", "prometheus", "jsno"])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"a digest has no format `{name}`"):
        digest_formats.require(name)


def test_the_report_ends_with_what_needs_a_look() -> None:
    assert (
        write(Report(NOW, (FILES, DATABASE)), "table", LOOK).splitlines()[-1]
        == "1 of 2 needs a look: shop mariadb late"
    )
    assert write(Report(NOW, (FILES,)), "table", LOOK).splitlines()[-1] == "The backup is there"
    assert write(fleet(), "table", LOOK).splitlines()[-1].endswith("brauerei files missing and 3 more")


@pytest.mark.parametrize(
    ("keys", "gets"),
    [({"url": {"env": "A"}}, True), ({"url": {"env": "A"}, "on": "always"}, True), ({"ping": {"env": "A"}}, False)],
)
def test_everybody_who_gets_messages_gets_it_and_no_ping(keys: dict[str, object], *, gets: bool) -> None:
    who = Notification.model_validate_json(json.dumps(keys))
    assert News("report", "", "", failed=False, periodic=True).is_for(who) is gets
