"""Records outlive the version that wrote them."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.storage.base import record_name
from tasks.storage.records import Record, Records, newest_names

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001
RECORDS = st.builds(
    Record,
    app=st.text(min_size=1),
    action=st.sampled_from(["backup", "restore"]),
    time=TIMES,
    outcome=st.sampled_from(["ok", "warning", "failed"]),
    source=st.sampled_from(["files", "mariadb", None]),
    error=st.none() | st.text(st.characters(codec="utf-8")),
    size=st.none() | st.integers(0),
    archive_ids=st.none() | st.lists(st.text("0123456789abcdef")).map(tuple),
    details=st.dictionaries(st.text("abc"), st.integers()),
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
