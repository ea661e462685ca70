"""When two backups' lists of files are compared, and what is said of files that are gone."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.records.gone import GONE, Gone, gone_of, lost, predecessor
from tasks.records.record import Record, Records
from tasks.records.verdict import ACCEPT
from tests.unit.records.test_suspect import backup, odd

NAME = "shop-files-2026-09-01T03-00-00"


def made(day: float, files: int = 1000, **details: Any) -> Record:
    return replace(backup(day, files=files, **details), archive=NAME)


def past(count: int = 10, files: int = 1000) -> tuple[Record, ...]:
    return tuple(made(day, files) for day in range(count))


def gone(count: int, of: int = 1000) -> dict[str, Any]:
    return {GONE: {"count": count, "of": of}}


@pytest.mark.parametrize(
    ("files", "compared"), [(1000, False), (950, False), (900, True), (560, True), (0, True), (1200, False)]
)
def test_lists_are_compared_when_a_tenth_of_the_files_is_missing(files: int, compared: bool) -> None:
    before = past()
    assert predecessor(made(10, files), Records(before)) == (before[-1] if compared else None)


def test_files_that_are_missed_beside_an_import_are_compared_the_night_after_as_well() -> None:
    """More than in the night before, fewer than usual."""
    before = (*past(), made(10, 700))
    assert predecessor(made(11, 800), Records(before)) == before[-1]


def test_what_cannot_be_compared_is_not() -> None:
    assert predecessor(made(0), Records(())) is None
    assert predecessor(made(9, 2), Records(past(files=4))) is None  # half of four is an accident
    assert predecessor(replace(made(9, 2), details={}), Records(past())) is None
    no_name = tuple(replace(one, archive=None) for one in past())
    assert predecessor(made(10, 2), Records(no_name)) is None


def test_half_gone_is_said_although_the_total_is_usual() -> None:
    now = made(10, 800, **gone(500))
    assert odd(now, past()) == ("500 of the 1,000 files of the backup before are gone",)
    assert odd(made(10, 800, **gone(300)), past()) == ()
    assert lost(made(6, 800, **gone(500)), Records(past(6))) is None  # too early to know what comes and goes


def test_what_comes_and_goes_is_usual() -> None:
    before = (*past(8), made(8, 850, **gone(420)))
    assert odd(made(9, 800, **gone(500)), before) == ()
    assert odd(made(9, 800, **gone(600)), before) != ()


def test_what_a_person_accepted_is_usual() -> None:
    fell = replace(made(10, 800, suspect=["500 gone"], **gone(500)), outcome="suspect")
    accepted = Record("shop", ACCEPT, fell.time.replace(hour=9), "ok", "files", archive_id=fell.archive_id)
    again = made(11, 600, **gone(450))
    assert lost(again, Records((*past(), fell))) is not None
    assert lost(again, Records((*past(), fell, accepted))) is None


@pytest.mark.parametrize(
    "value", [None, [], 3, {"count": 2}, {"count": True, "of": 2}, {"count": 5, "of": 2}, {"of": 0}]
)
def test_a_record_of_another_form_says_nothing(value: object) -> None:
    assert gone_of(replace(made(1), details={GONE: value})) is None
    assert Gone(0, 0).part == 0
