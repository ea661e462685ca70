"""When two backups' lists of files are compared, and what is said of files that are gone."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.records.gone import GONE, Loss, gone_of, lost, predecessor
from tasks.records.record import Record, Records
from tasks.records.verdict import ACCEPT
from tests.unit.records.test_suspect import GB, backup, odd

NAME = "shop-files-2026-09-01T03-00-00"


def made(day: float, files: int = 1000, size: int = 10 * GB, **details: Any) -> Record:
    return replace(backup(day, size, files=files, **details), archive=NAME)


def past(count: int = 10, files: int = 1000) -> tuple[Record, ...]:
    return tuple(made(day, files) for day in range(count))


def gone(
    count: int, of: int = 1000, settled: tuple[int, int] | None = None, size: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Return the details of a loss; `settled` as count and number of files, `size` in 10 MB, for the whole alone."""
    values: dict[str, Any] = {"count": count, "of": of}
    if size:
        values |= {"size": size[0] * GB // 100, "of_size": size[1] * GB // 100}
    if settled:
        values["settled"] = {"count": settled[0], "of": settled[1]}
    return {GONE: values}


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
    assert predecessor(made(9, 0), Records(past(files=1))) is None
    assert predecessor(replace(made(9, 2), details={}), Records(past())) is None
    no_name = tuple(replace(one, archive=None) for one in past())
    assert predecessor(made(10, 2), Records(no_name)) is None


def test_of_a_short_list_the_most_of_the_last_seven_counts() -> None:
    """Beside a cache of a few files, half of all is easily more than the night before had."""
    before = (*past(9, 12), made(9, 4))
    assert predecessor(made(10, 7), Records(before)) == before[-1]
    assert predecessor(made(10, 11), Records(before)) is None


def test_half_of_what_had_not_changed_is_gone_however_much_comes_and_goes() -> None:
    before = (*past(8), made(8, 400, **gone(600, settled=(0, 400))))
    emptied = made(9, 400, **gone(600, settled=(0, 400)))
    assert odd(emptied, before) == ()
    assert odd(made(9, 400, **gone(600, settled=(200, 400))), before) == (
        "200 of the 400 files that had not changed for 30 days are gone, and of all 600 of 1,000",
    )
    assert odd(made(9, 850, **gone(300, settled=(200, 400))), before) == ()  # less than half of all
    assert odd(made(9, 4, 3, **gone(4, 8, settled=(1, 2))), past(2, 8)) != ()  # of few files, in the first nights


def test_half_of_what_had_not_changed_is_usual_where_it_was_before() -> None:
    before = (*past(8), made(8, 400, **gone(600, settled=(300, 400))))
    assert lost(made(9, 400, **gone(600, settled=(390, 400))), Records(before)) is None


def test_a_cache_that_is_emptied_is_no_loss_of_bytes_or_files() -> None:
    """It fell like that before, but not from as high; and what is left is there to the last file."""
    before = (*past(28), made(28, 700, 7 * GB, **gone(600, settled=(0, 100))), made(29))
    sizes: dict[str, Any] = {"size": (900, 1000)}
    now = made(30, 100, GB, **gone(700, settled=(1, 100), **sizes))
    assert odd(now, before) == ()
    assert odd(made(30, 100, GB, **gone(700, settled=(50, 100), **sizes)), before) != ()
    assert odd(made(30, 100, GB, **gone(700, settled=(0, 0), **sizes)), before) != ()  # nothing tells what stays
    assert odd(made(30, 100, GB, **gone(700, settled=(0, 100), size=(100, 1000))), before) != ()  # cut, not gone
    assert odd(made(30, 100, GB, **gone(700, settled=(0, 100), **sizes)), past(29)) != ()  # never seen before
    assert odd(made(30, 100, GB, tables=1, **gone(700, settled=(1, 100), **sizes)), before) == ()
    tables = tuple(replace(one, details={**one.details, "tables": 40}) for one in before)
    assert odd(made(30, 100, GB, tables=1, **gone(700, settled=(1, 100), **sizes)), tables) != ()


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
    assert Loss(0, 0).part == 0


def test_lists_are_compared_when_half_of_the_data_is_new_and_never_else() -> None:
    before = past()
    for stored, compared in ((2 * GB, True), (int(1.9 * GB), False)):
        assert (predecessor(made(10, stored=stored), Records(before)) is not None) == compared
    grown = made(10, size=12 * GB, stored=2 * GB)  # explained by the growth
    assert predecessor(grown, Records(before)) is None
    busy = tuple(made(day, stored=GB) for day in range(10))
    assert predecessor(made(10, stored=5 * GB), Records(busy)) is None


def test_as_many_other_files_are_suspect_night_after_night() -> None:
    """Such as another folder that was mounted in place."""
    before, other = past(), gone(980, settled=(790, 800))
    other[GONE]["new"] = True
    (said,) = odd(made(10, stored=4 * GB, **other), before)
    assert said == "980 of the 1,000 files of the backup before are gone, and as many others came"
    suspect = replace(made(10, stored=4 * GB, **other), outcome="suspect", details={"suspect": [said], "files": 1000})
    next_night = made(11, stored=0)
    assert predecessor(next_night, Records((*before, suspect))) == before[-1]


@pytest.mark.parametrize(("count", "settled"), [(890, (790, 800)), (950, (700, 800))])
def test_a_release_whose_files_have_other_names_is_usual(count: int, settled: tuple[int, int]) -> None:
    """Some files always stay, such as a site's start page, though most have a hash of their content in their names."""
    other = gone(count, settled=settled)
    other[GONE]["new"] = True
    released = made(10, stored=4 * GB, **other)
    assert odd(released, past()) == ()
    (half,) = odd(made(11, 1000, **gone(500, settled=(500, 800))), (*past(), released))  # nor does it hide a loss
    assert "500 of the 800 files" in half
