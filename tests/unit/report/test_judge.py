"""What the archives and records of a source mean."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.borg.client.list import Archive
from tasks.records.record import Records
from tasks.report import formats
from tasks.report.formats import Look
from tasks.report.judge import Evidence, judge
from tasks.report.rows import Report
from tests.unit.report.support import NOW, SHOP, ago, archive, failed, found, saved


def test_a_recent_backup_is_ok_with_the_sizes_of_its_record() -> None:
    old, new = archive(ago(days=1)), archive(ago(minutes=10))

    row = found([old, new], [saved(old, size=1, stored=1), saved(new)])

    assert (row.status, row.archive, row.last, row.age_seconds) == ("ok", new.name, new.start, 600)
    assert (row.archives, row.size, row.stored, row.duration_seconds) == (2, 1098552582, 90177536, 7.2)
    assert (row.app, row.host, row.storage, row.source) == ("shop", "root@shop.example.org", "box", "files")
    assert row.error is None


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (26 * 3600, "ok"), (26 * 3600 + 1, "late")])
def test_older_than_its_maximum_age_is_late(seconds: int, status: str) -> None:
    new = archive(ago(seconds=seconds))

    row = found([new], [saved(new)])
    assert row.status == status
    assert row.error == ("the newest archive is 26 h old, max_age is 26 h" if status == "late" else None)


def test_without_any_archive_it_is_missing() -> None:
    row = found([])

    assert (row.status, row.archives, row.archive, row.last, row.age_seconds, row.error) == (
        "missing",
        0,
        None,
        None,
        None,
        None,
    )


def test_a_first_backup_that_failed_is_missing_and_says_why() -> None:
    row = found([], [failed(ago(hours=1), "the server refused")])

    assert (row.status, row.error) == ("missing", "the server refused")


def test_a_listing_that_cannot_be_had_is_unknown_never_ok() -> None:
    new = archive(ago(minutes=10))

    row = found(None, [saved(new)], archives_error="box: connection refused")

    assert (row.status, row.error) == ("unknown", "box: connection refused")
    assert (row.archive, row.last, row.archives, row.size) == (None, None, None, None)


def test_a_failure_after_the_newest_archive() -> None:
    new = archive(ago(days=2))

    row = found([new], [saved(new), failed(ago(hours=1), "no\nspace")])

    assert (row.status, row.error) == ("failed", "no space")
    assert (row.archive, row.size) == (new.name, 1098552582)


def test_failures_in_a_row_say_since_when() -> None:
    new = archive(ago(days=4))

    row = found([new], [failed(ago(days=5)), saved(new), failed(ago(days=2)), failed(ago(days=1), "no space")])

    assert (row.status, row.error) == ("failed", "no space (since 20 Nov)")


def test_a_failure_that_a_success_followed_is_history() -> None:
    new = archive(ago(hours=1))

    assert found([new], [failed(ago(hours=2)), saved(new)]).status == "ok"


def test_a_failure_counts_though_the_hosts_clock_is_ahead() -> None:
    new = archive(NOW + timedelta(minutes=4))  # made two hours ago by the operator's clock

    row = found([new], [saved(new, time=ago(hours=2)), failed(ago(hours=1))])

    assert row.status == "failed"


def test_records_of_other_sources_and_actions_say_nothing_of_this_one() -> None:
    new = archive(ago(hours=1))
    others = [
        failed(ago(minutes=5), source="mariadb"),
        failed(ago(minutes=5), action="restore"),
        failed(ago(minutes=5), action="verify", source="mariadb"),
        failed(ago(minutes=5), source=None),
    ]

    assert found([new], [saved(new), *others]).status == "ok"


def test_proven_is_the_newest_drill_that_succeeded() -> None:
    new = archive(ago(hours=1))
    drills = [saved(new, action="verify", time=ago(days=days)) for days in (3, 2)]

    row = found([new], [saved(new), *drills, failed(ago(days=1), action="verify")])

    assert row.proven == ago(days=2)
    assert found([new], [saved(new)]).proven is None


def test_a_failed_drill_is_a_failed_row_until_one_succeeds() -> None:
    old, new = archive(ago(days=1)), archive(ago(hours=1))
    proof = saved(old, action="verify", time=ago(hours=20))
    failure = failed(ago(hours=12), "a table is damaged", action="verify", archive=old.name)

    row = found([old, new], [saved(old), proof, failure, saved(new)])

    assert (row.status, row.proven, row.archive) == ("failed", ago(hours=20), new.name)  # though a backup came after
    assert row.error == f"restore drill of {old.name} failed (21 Nov): a table is damaged"
    later = saved(new, action="verify", time=ago(minutes=5))
    row = found([old, new], [saved(old), failure, later, saved(new)])
    assert (row.status, row.error, row.proven) == ("ok", None, ago(minutes=5))


def test_a_failed_drill_hides_neither_a_failed_backup_nor_a_missing_one() -> None:
    new, drill = archive(ago(days=2)), failed(ago(hours=2), "no room", action="verify")

    row = found([new], [saved(new), failed(ago(hours=1), "no space"), drill])

    assert (row.status, row.error) == ("failed", "no space; restore drill failed (22 Nov): no room")
    assert found([], [drill]).status == "missing"
    assert found(None, [drill]).status == "unknown"


@pytest.mark.parametrize(
    "name",
    [
        "shop-files-2026-11-22T03-00-00.checkpoint",
        "shop-files-2026-11-22T03-00-00.checkpoint.1",
        "shop-files-before-upgrade",
        "shop-mariadb-2026-11-22T03-00-00",
        "blog-files-2026-11-22T03-00-00",
        "my own archive",
        "shop-files-2026-13-45T03-00-00",
    ],
)
def test_other_archives_are_not_counted(name: str) -> None:
    row = found([archive(ago(minutes=10), name)])

    assert (row.status, row.archives) == ("missing", 0)


def test_an_archive_dated_in_the_future_is_told_and_not_trusted() -> None:
    old, ahead = archive(ago(days=2)), archive(NOW + timedelta(days=3650))

    row = found([ahead, old], [saved(old)])

    assert (row.status, row.archive, row.archives) == ("failed", old.name, 2)  # told, and not counted as the newest
    assert (
        row.error == f"{ahead.name} is in the repository, and no record tells of it; {ahead.name}: dated in the future"
    )


def test_only_archives_dated_in_the_future_are_unknown() -> None:
    one, two = archive(NOW + timedelta(days=1)), archive(NOW + timedelta(days=2))

    row = found([one, two], [saved(one), saved(two)])

    assert (row.status, row.archive, row.archives) == ("unknown", None, 2)
    assert row.error == f"{one.name} and {two.name}: dated in the future"


def test_a_clock_that_is_a_little_ahead_does_no_harm() -> None:
    new = archive(NOW + timedelta(minutes=2))

    row = found([new], [saved(new)])

    assert (row.status, row.age_seconds, row.error) == ("ok", 0, None)


def test_a_recorded_archive_that_is_gone() -> None:
    old, gone = archive(ago(hours=20)), archive(ago(hours=1))

    row = found([old], [saved(old), saved(gone)])

    assert (row.status, row.archive, row.age_seconds) == ("failed", old.name, 20 * 3600)  # the listing wins
    assert row.error == f"{gone.name} was recorded, and is not in the repository"


def test_an_archive_put_in_another_ones_place() -> None:
    new = archive(ago(hours=1))

    row = found([archive(ago(hours=1), key="forged")], [saved(new)])

    assert (row.size, row.error) == (None, f"{new.name} is not the recorded one")


def test_an_archive_that_no_record_tells_of() -> None:
    old, new = archive(ago(days=1)), archive(ago(hours=1))

    row = found([old, new], [saved(old)])

    assert (row.status, row.archive, row.size) == ("failed", new.name, None)
    assert row.error == f"{new.name} is in the repository, and no record tells of it"


def test_a_failed_check_is_a_failed_row_until_one_succeeds() -> None:
    new = archive(ago(hours=1))
    failure = failed(ago(minutes=30), "segment 7 is damaged", action="check", source=None)

    row = found([new], [saved(new), failure])

    assert (row.status, row.error) == ("failed", "check failed (22 Nov): segment 7 is damaged")
    later = saved(new, action="check", source=None, time=ago(minutes=5))
    assert found([new], [saved(new), failure, later]).status == "ok"


def test_records_that_cannot_be_read_leave_the_listing_standing_and_the_verdict_unknown() -> None:
    new = archive(ago(hours=1))

    row = judge(SHOP, Evidence([new], None, records_error="permission denied"), NOW)

    assert (row.status, row.archives, row.archive, row.size) == ("unknown", 1, new.name, None)
    assert (row.error, row.incomplete) == ("records: permission denied", None)
    old = judge(SHOP, Evidence([archive(ago(days=2))], None, records_error="permission denied"), NOW)
    assert old.status == "late"


def test_broken_records_are_counted() -> None:
    new = archive(ago(hours=1))
    records = Records((saved(new), saved(new, size="x"), saved(new, archive=["x"])), ("a.json", "b.json"))

    row = judge(SHOP, Evidence([new], records), NOW)

    assert (row.status, row.size, row.error) == ("ok", 1098552582, "4 broken records")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
RECORD_FILES = st.dictionaries(
    st.text(max_size=5),
    st.binary(max_size=20) | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    max_size=2,
)


@st.composite
def odd_records(draw: st.DrawFn) -> bytes:
    values: dict[str, Any] = json.loads(saved(archive(ago(hours=1))).to_json())
    for key in draw(
        st.lists(st.sampled_from([*values, "source", "error", "details", "archive_ids", "new"]), max_size=3)
    ):
        values[key] = draw(JSON_VALUES)
    return json.dumps(values).encode()


@settings(deadline=None)  # a busy machine is slow
@given(
    files=RECORD_FILES | st.dictionaries(st.text(max_size=5), odd_records(), max_size=3),
    dates=st.lists(st.datetimes(timezones=st.just(UTC)), max_size=3),
    names=st.lists(st.text(max_size=9), max_size=2),
)
def test_whatever_lies_in_a_storage_there_is_a_row_and_every_format_can_write_it(
    files: dict[str, bytes], dates: list[datetime], names: list[str]
) -> None:
    archives = [archive(date, f"shop-files-{date.year:04}-01-01T00-00-00") for date in dates] + [
        Archive(name, name, NOW) for name in names
    ]

    row = judge(SHOP, Evidence(archives, Records.parse(files)), NOW)

    assert row.archives == len(dates)
    for name in formats.WRITERS:
        assert "shop" in formats.write(Report(NOW, (row,)), name, Look())


def test_a_record_of_the_future_is_the_newest_of_nothing() -> None:
    """As a laptop whose clock was a year ahead wrote it."""
    later, new = NOW + timedelta(days=365), archive(ago(hours=1))
    wrong = [
        failed(later, "segment 7 is damaged", action="check", source=None),
        failed(later, "no room", action="verify"),
        failed(later, "no way"),
        saved(new, action="unchanged", time=later),
    ]
    row = found([new], [saved(new), *wrong])
    assert (row.status, row.error, row.last) == ("ok", None, new.start)
