"""The order of records: no clock that was wrong orders anything, and what its records name counts all the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.borg.anomalies import doubts
from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.list import Archive
from tasks.records.chronology import further, in_order, start, storage_ahead
from tasks.records.ledger import KNOWN, history, ledger
from tasks.records.record import Record, Records
from tasks.storage.base import record_name
from tasks.storage.state import State

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def record(action: str, time: datetime, **more: Any) -> Record:
    values: dict[str, Any] = {"outcome": "ok", "duration_seconds": 5.0}
    return Record("shop", action, time, **(values | more))


def saved(day: float, transaction: int) -> tuple[Archive, Record]:
    time = NOW - day * DAY
    archive = Archive(str(ArchiveName("shop", "files", time)), f"id{day}", time)
    made = record("backup", time, source="files", archive=archive.name, archive_id=archive.id, transaction=transaction)
    return archive, made


def milestone(time: datetime, known: list[Archive], transaction: int, action: str = "check") -> Record:
    details = {"known_ids": [each.id for each in known]}
    return record(action, time, transaction=transaction, details=details)


OLD, OLD_RECORD = saved(10, 5)
LATER, LATER_RECORD = saved(3, 9)
LAST, LAST_RECORD = saved(1, 12)
AHEAD = [timedelta(minutes=16), 3 * DAY, 365 * DAY]


def parsed(*records: Record) -> Records:
    return Records(tuple(sorted(records, key=lambda each: each.time)))


def said(archives: list[Archive], records: Records, now: datetime = NOW) -> list[str]:
    return [doubt.text for doubt in doubts(archives, State(20), ledger(records, now), now)]


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_milestone_of_the_future_blinds_nobody(ahead: timedelta) -> None:
    """It was written when there was the oldest archive alone, by a laptop whose clock was ahead."""
    records = parsed(OLD_RECORD, milestone(NOW + ahead, [OLD], 6), LATER_RECORD, LAST_RECORD)
    assert said([OLD, LATER, LAST], records) == []
    assert "was recorded, and is not in the repository" in said([OLD, LAST], records)[0]
    assert "was recorded, and is not in the repository" in said([LATER, LAST], records)[0]


@pytest.mark.parametrize("ahead", AHEAD)
def test_nor_does_it_once_its_day_has_come(ahead: timedelta) -> None:
    """Its transaction shows that it is older than the records of the days before it."""
    wrong = milestone(NOW + ahead, [OLD], 6)
    then = NOW + ahead + timedelta(hours=1)
    newest = Archive(str(ArchiveName("shop", "files", then - DAY)), "newest", then - DAY)
    of_it = record("backup", then - DAY, source="files", archive=newest.name, archive_id="newest", transaction=30)
    records = parsed(OLD_RECORD, LATER_RECORD, LAST_RECORD, wrong, of_it)
    assert said([OLD, LATER, LAST, newest], records, then) == []
    assert "not in the repository" in said([OLD, LATER, newest], records, then)[0]
    assert further(records, then) is not None


def test_what_a_milestone_of_the_future_names_counts() -> None:
    """The record of an archive that it vouched for may have gone since."""
    records = parsed(milestone(NOW + 365 * DAY, [OLD], 6), LATER_RECORD)
    assert said([OLD, LATER], records) == []


def test_it_is_forgotten_like_any_other_once_a_later_milestone_stands() -> None:
    pruned = record("prune", NOW - 4 * DAY, transaction=8, details={"removed_ids": [OLD.id]})
    newest = milestone(NOW - timedelta(hours=1), [LATER, LAST], 13)
    records = parsed(milestone(NOW + 365 * DAY, [OLD], 6), pruned, LATER_RECORD, LAST_RECORD, newest)
    assert said([LATER, LAST], records) == []


@pytest.mark.parametrize("hours", [0, 1, 49, 24 * 400])
def test_names_of_the_future_are_no_beginning(hours: int) -> None:
    def name(time: datetime, action: str, what: str) -> str:
        return record_name(time, action, what)

    old = [name(NOW - each * DAY, "backup", "files") for each in range(1, 9)]
    right, wrong = name(NOW - 5 * DAY, "prune", KNOWN), name(NOW + timedelta(hours=hours + 1), "check", KNOWN)
    chosen = history([*old, right, wrong], NOW)
    assert set(old[:7]) <= set(chosen)
    assert {right, wrong} <= set(chosen)
    assert old[7] not in chosen


def test_a_long_backup_makes_no_milestone_a_liar() -> None:
    """Its record has the time of its beginning, and the transaction of its end."""
    long = record("backup", NOW - timedelta(hours=10), transaction=20, duration_seconds=8 * 3600.0)
    checked = milestone(NOW - timedelta(hours=9), [OLD], 15)
    records = parsed(OLD_RECORD, long, checked)
    assert [each.sure for each in in_order(records, NOW)] == [True] * 3
    assert start(in_order(records, NOW)) == checked.time - 2 * DAY


def test_a_rollback_makes_numbers_smaller_and_no_milestone_a_liar() -> None:
    back = milestone(NOW - 2 * DAY, [OLD], 6, "rollback")
    checked = milestone(NOW - DAY, [OLD], 7)
    records = parsed(OLD_RECORD, LATER_RECORD, back, checked)
    assert all(each.sure for each in in_order(records, NOW))


def test_the_hour_that_comes_twice_and_the_second_that_is_sixty() -> None:
    """Records are in UTC: neither the end of summer time nor a leap second makes a record one of the future."""
    end = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 CEST becomes 02:00 CET
    records = parsed(*(record("backup", end + timedelta(minutes=each)) for each in (-30, 0, 30)))
    assert [each.sure for each in in_order(records, end + timedelta(minutes=31))] == [True] * 3
    broken = Records.parse({"a.json": b'{"version": 1, "app": "x", "action": "y", "time": "2026-12-31T23:59:60Z"}'})
    assert (broken.all, broken.broken) in (((), ("a.json",)), (broken.all, ()))


def test_what_an_operator_accepted_is_known_and_missed_when_it_goes() -> None:
    accepted = record("accept", NOW, source="files", archive=LAST.name, archive_id=LAST.id, details={"reason": "mine"})
    records = parsed(OLD_RECORD, accepted)
    assert said([OLD, LAST], records) == []
    assert "not in the repository" in said([OLD], records)[0]


@pytest.mark.parametrize(
    ("seconds", "first"), [(-180.0, "fast"), (-9.0, "slow"), (None, "slow"), (-86_400.0, "slow"), (True, "slow")]
)
def test_records_are_ordered_by_the_storages_clock_where_they_tell_it(seconds: float | None, first: str) -> None:
    """Between two machines, one three minutes ahead; a difference that is small, unknown or absurd changes nothing."""
    fast = record("check", NOW - timedelta(minutes=1), operator="fast", details=storage_ahead(seconds))
    slow = record("check", NOW - timedelta(minutes=3), operator="slow")
    placed = in_order(parsed(fast, slow), NOW)
    assert (placed[0].record.operator, placed[0].sure) == (first, True)
