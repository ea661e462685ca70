"""To which points a repository can go back: those that it has now, whatever numbers its records tell of."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.borg.transactions import Point, choose, freed_at, past, points, unlike
from tasks.errors import UsageError
from tasks.records.ledger import Ledger
from tasks.records.record import Record, Records
from tasks.storage.set_aside import logged

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
A, B, C, STOLEN = "a" * 64, "b" * 64, "c" * 64, "d" * 64
FOLDER = "shop.before-rollback-2026-11-22T05-00-00"


def record(
    action: str, hour: float, transaction: int | None, ids: tuple[str, ...] | None = None, **more: Any
) -> Record:
    values: dict[str, Any] = {"outcome": "ok", "source": "files" if action == "backup" else None}
    values |= {"transaction": transaction, "archive_ids": ids}
    return Record("shop", action, NOW - timedelta(hours=12 - hour), **(values | more))


def back(hour: float, to: int, after: int, **details: Any) -> Record:
    return record("rollback", hour, after, details={"to": to, **details})


THREE = (record("backup", 1, 5, (A,)), record("backup", 2, 9, (A, B)), record("backup", 3, 13, (A, B, C)))


def found(*records: Record, there: tuple[str, ...] = (), now: datetime = NOW) -> dict[int, tuple[str, ...] | None]:
    told, _ = past(Records(tuple(sorted(records, key=lambda each: each.time))), now, there)
    return {number: point.archive_ids for number, point in told.items()}


def test_all_points_of_a_repository_that_was_never_taken_back() -> None:
    assert found(*THREE) == {5: (A,), 9: (A, B), 13: (A, B, C)}


def test_a_number_that_a_rollback_undid_is_no_point_until_it_is_taken_again() -> None:
    undone = back(4, 5, 5)
    assert found(*THREE, undone) == {5: None}
    again = record("backup", 6, 9, (A, STOLEN))
    assert found(*THREE, undone, again) == {5: None, 9: (A, STOLEN)}
    assert found(*THREE, undone, again, back(7, 9, 9)) == {5: None, 9: None}


def test_an_undone_rollback_gives_the_points_before_it_back() -> None:
    undone = back(4, 5, 5, aside=FOLDER)
    again = record("backup", 6, 9, (A, STOLEN))
    undo = back(7, 5, 14, undid=FOLDER, aside="shop.before-rollback-2026-11-22T07-00-00")
    assert found(*THREE, undone, again, undo) == {5: (A,), 9: (A, B), 13: (A, B, C), 14: None}


@pytest.mark.parametrize(("there", "left"), [((FOLDER,), {5}), ((), {5, 9, 13})])
def test_one_that_was_killed_has_undone_what_its_folder_shows(there: tuple[str, ...], left: set[int]) -> None:
    announced = record("intent", 4, None, details={"of": "rollback", "to": 5, "aside": FOLDER})
    assert set(found(*THREE, announced, there=there)) == left


def test_a_rollback_that_failed_has_moved_segments_all_the_same() -> None:
    assert set(found(*THREE, back(4, 5, 5, aside=FOLDER), there=(FOLDER,))) == {5}
    failed = record("rollback", 4, None, outcome="failed", details={"to": 5, "aside": FOLDER})
    assert set(found(*THREE, failed)) == {5}


def test_what_can_be_undone_is_what_is_there_and_no_longer_after_space_was_freed() -> None:
    undone = back(4, 5, 5, aside=FOLDER, before_ids=[A, B, C])
    _, undoable = past(Records((*THREE, undone)), NOW, {FOLDER})
    assert [(each.to, each.aside, each.archive_ids) for each in undoable] == [(5, FOLDER, (A, B, C))]
    assert past(Records((*THREE, undone)), NOW, ())[1] == []
    freed = record("compact", 6, 7, details={"space": "1 kB"})
    assert past(Records((*THREE, undone, freed)), NOW, {FOLDER})[1] == []


def test_points_are_of_the_log_and_the_records_and_have_their_segments() -> None:
    log = "transaction 5, UTC time 2026-11-22T01:00:05.1\ntransaction 7, UTC time 2026-11-22T01:30:00\nrubbish\n"
    told, _ = past(Records(THREE), NOW, ())
    every = points(logged(log), told, range(20), freed_at(Records(THREE)))
    assert [(each.transaction, each.archive_ids) for each in every] == [
        (5, (A,)),
        (7, None),
        (9, (A, B)),
        (13, (A, B, C)),
    ]
    assert every[0].time == datetime(2026, 11, 22, 1, 0, 5, 100_000, tzinfo=UTC)
    assert [each.transaction for each in points(logged(log), told, {5, 9})] == [5, 9]
    assert [each.transaction for each in points(logged(log), told, range(20), 9)] == [9, 13]


def test_a_record_of_the_future_gives_its_point_no_time_of_the_future() -> None:
    wrong = record("check", 12 + 24 * 365, 11, (A, B))
    told, _ = past(Records((*THREE, wrong)), NOW, ())
    every = points({}, told, range(20))
    assert [each.transaction for each in every] == [5, 9, 11, 13]
    assert choose(every, "shop", None, NOW - timedelta(hours=8.5)).transaction == 13


def test_no_point_is_no_guess() -> None:
    for to, before in ((4, None), (None, NOW - timedelta(days=9)), (None, None)):
        with pytest.raises(UsageError):
            choose([Point(5, NOW)], "shop", to, before)


@pytest.mark.parametrize(
    ("foretold", "there", "said"),
    [
        ((A, B), (A, B), []),
        ((A, B), (B, A, C), []),  # ours: made while the record of that point was written
        ((A, B), (A,), ["b did not come back"]),
        ((A,), (A, STOLEN), ["one of id dddddddddddd is still there"]),
        ((A, B), (STOLEN,), ["a and b did not come back", "one of id dddddddddddd is still there"]),
        ((), (), []),
    ],
)
def test_what_came_is_held_against_what_was_foretold(
    foretold: tuple[str, ...], there: tuple[str, ...], said: list[str]
) -> None:
    assert unlike(foretold, there, Ledger(made={A: "a", B: "b", C: "c"})) == said
