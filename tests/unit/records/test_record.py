"""Records outlive the version that wrote them."""

import json
from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from tasks.records.record import Record, Records, daily_names, newest_names, superseded
from tasks.storage.base import record_name

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001
RECORDS = st.builds(
    Record,
    app=st.text(min_size=1),
    action=st.sampled_from(["backup", "restore"]),
    time=TIMES,
    outcome=st.sampled_from(["ok", "warning", "failed"]),
    source=st.sampled_from(["files", "mariadb", None]),
    error=st.none() | st.text(st.characters(codec="utf-8")),
    size=st.none() | st.integers(0, 2**63 - 1),
    archive_ids=st.none() | st.lists(st.text("0123456789abcdef")).map(tuple),
    details=st.dictionaries(st.text("abc"), st.integers(-(2**63) + 1, 2**63 - 1)),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@given(RECORDS, st.binary())
def test_a_broken_file_is_named_and_the_others_are_read(record: Record, noise: bytes) -> None:
    files = {"a.json": record.to_json().encode(), "b.json": noise + b"{", "c.json": b'{"version": 1}', "d.json": b"[]"}
    records = Records.parse(files)
    assert records.all == (record,)
    assert records.broken == ("b.json", "c.json", "d.json")


def test_records_of_one_second_are_in_the_order_in_which_they_began() -> None:
    moments = [datetime(2026, 11, 22, 3, 0, 0, each, tzinfo=UTC) for each in (0, 7, 500_000, 999_999)]
    made = [Record("shop", "verify", each, "ok", source="files") for each in moments]
    files = {
        f"2026-11-22T03-00-00-verify-files-{9 - number:04x}.json": made[number].to_json().encode()
        for number in range(4)
    }
    assert Records.parse(files).all == tuple(made)


def test_what_a_later_version_adds_is_left_out() -> None:
    record = Record("shop", "backup", datetime(2026, 11, 22, tzinfo=UTC), "ok", source="files")
    text = json.dumps({**json.loads(record.to_json()), "version": 2, "colour": "blue"})
    assert Record.from_json(text) == record


def test_the_newest_record_of_a_source_is_found() -> None:
    def record(hour: int, source: str, outcome: str) -> Record:
        return Record("shop", "backup", datetime(2026, 11, 22, hour, tzinfo=UTC), outcome, source=source)  # type: ignore[arg-type]

    records = Records((record(1, "files", "ok"), record(2, "mariadb", "failed"), record(3, "files", "failed")))
    assert records.newest("backup", "files") == record(3, "files", "failed")
    assert records.newest("restore", "files") is None


def test_two_operators_never_take_one_name() -> None:
    time = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
    names = {record_name(time, "backup") for _ in range(8)}
    assert len(names) > 1
    assert all(name.startswith("2026-11-22T03-00-00-backup-") for name in names)


def test_frequent_records_push_no_others_out() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    rare = [
        record_name(start, "verify", "mariadb"), record_name(start, "backup", "mariadb"), record_name(start, "prune"),
        "2026-11-21T03-00-00-backup-00ff.json",
    ]  # fmt: skip
    frequent = [record_name(start + timedelta(minutes=5 * each), "backup", "binlog") for each in range(300)]
    kept = newest_names([*frequent, *rare, "notes.txt"], 60)
    assert kept == sorted(rare + frequent[-60:])


@given(st.lists(st.integers(0, 6 * 24 * 60), max_size=50), st.integers(-12, 14))
def test_whatever_the_zone_each_day_with_a_record_keeps_one(minutes: list[int], hours: int) -> None:
    def days(names: list[str]) -> set[date]:
        found = [Record.from_name("shop", name) for name in names]
        return {record.time.astimezone(timezone(timedelta(hours=hours))).date() for record in found if record}

    start = datetime(2026, 11, 22, tzinfo=UTC)
    names = [record_name(start + timedelta(minutes=each), "backup", "binlog") for each in minutes]
    assert days(daily_names(names, 400)) == days(names)


def test_of_each_kind_so_many_days_and_two_records_of_one_at_most() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    frequent = [record_name(start + timedelta(minutes=5 * each), "backup", "binlog") for each in range(3 * 288)]
    rare = [record_name(start, "backup", "files"), "notes.txt"]
    assert daily_names([*frequent, *rare], 2) == sorted([rare[0], *(frequent[each] for each in (288, 575, 576, 863))])


def test_what_a_name_tells() -> None:
    time = datetime(2026, 11, 22, 3, tzinfo=UTC)
    told = [
        Record.from_name("shop", record_name(time, action, source, failed=failed))
        for action, source, failed in (
            ("backup", "files", False),
            ("backup", "binlog", True),
            ("unchanged", "binlog", False),
        )
    ]
    assert told == [
        Record("shop", "backup", time, "ok", "files"),
        Record("shop", "backup", time, "failed", "binlog"),
        Record("shop", "unchanged", time, "ok", "binlog"),
    ]
    others = [record_name(time, *words) for words in (("verify", "files"), ("backup",), ("prune", "known"))]
    assert [
        Record.from_name("shop", name) for name in (*others, "2026-13-41T00-00-00-backup-files-00ff.json", "x")
    ] == [None] * 5


def test_a_look_leaves_the_last_of_each_day_before_it() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    looks = [record_name(start + timedelta(hours=6 * each), "unchanged", "binlog") for each in range(4 * 140)]
    other = record_name(start, "unchanged", "files")
    gone = superseded([other, *looks], looks[-1])
    assert sorted(set(looks) - set(gone)) == looks[4 * 10 + 3 :: 4]
    assert superseded([other, *sorted(set(looks) - set(gone))], looks[-1]) == []
