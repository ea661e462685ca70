"""Pruning must never take a binary log away from a whole backup that stays."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.mariadb.binlog_retention import CLOCK_STEP, needed_by_chain

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Archive:
    name: str
    start: datetime


def at(*hours: float) -> list[Archive]:
    return [Archive(f"a{hour}", BEGIN + hour * HOUR) for hour in hours]


def names(*hours: float) -> set[str]:
    return {archive.name for archive in at(*hours)}


def test_all_from_the_oldest_kept_base_on_are_needed() -> None:
    assert needed_by_chain(at(24, 48), at(1, 20, 25, 30, 49, 60)) == names(25, 30, 49, 60)


def test_a_shorter_window_lets_old_bases_stand_alone() -> None:
    logs = at(1, 25, 49, 60)
    assert needed_by_chain(at(0, 24, 48), logs, BEGIN + 24 * HOUR) == names(25, 49, 60)
    assert needed_by_chain(at(0, 24, 48), logs, BEGIN + 30 * HOUR) == names(49, 60)


def test_the_newest_base_keeps_its_logs_however_old_it_is() -> None:
    assert needed_by_chain(at(0, 24), at(1, 25), BEGIN + 999 * HOUR) == names(25)


def test_the_newest_archive_of_binary_logs_stays() -> None:
    assert needed_by_chain(at(48), at(1, 2, 3)) == names(3)


def test_without_a_base_nothing_goes() -> None:
    assert needed_by_chain([], at(1, 2)) == names(1, 2)


@given(st.lists(st.integers(0, 500), min_size=1), st.lists(st.integers(0, 500)), st.integers(0, 500) | st.none())
def test_a_base_within_the_window_loses_nothing(bases: list[int], logs: list[int], since: int | None) -> None:
    window = None if since is None else BEGIN + since * HOUR
    needed = needed_by_chain(at(*bases), at(*logs), window)
    for base in at(*bases):
        if window is None or base.start >= window or base.start == max(each.start for each in at(*bases)):
            assert {log.name for log in at(*logs) if log.start >= base.start} <= needed
    first = min(base.start for base in at(*bases))
    last = max((log.start for log in at(*logs)), default=first)
    assert not {log.name for log in at(*logs) if log.start < min(first - CLOCK_STEP, last)} & needed
