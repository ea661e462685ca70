"""What is suspect stays so night after night, until a person accepts it or the content is as it was."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.records.record import NEWEST, Record, Records
from tasks.records.suspect import COMPRESSED, unlike
from tasks.records.verdict import Verdict
from tests.unit.records.test_suspect import GB, MB, accept, backup, days

PHOTOS = {COMPRESSED: int(9.8 * GB)}
NIGHTS = 60


def judged(made: Record, past: list[Record]) -> Record:
    """Return a backup with its verdict, by as many records as are read."""
    odd = unlike(made, Records(tuple(past[-NEWEST:])))
    verdict = Verdict(suspect=tuple(odd))
    return replace(made, outcome=verdict.status, details={**made.details, **verdict.details})


def poisoned(night: int) -> Record:
    done = min((night + 1) / 20, 1)
    return backup(30 + night, stored=520 * MB, compressed=int((0.4 + 0.6 * done) * 10 * GB))


LOSSES: dict[str, tuple[list[Record], Callable[[int], Record]]] = {
    "encrypted": (
        days(30),
        lambda night: backup(30 + night, stored=20 * MB if night else 10 * GB, compressed=10 * GB),
    ),
    "photos encrypted": (
        days(30, **PHOTOS),
        lambda night: backup(30 + night, stored=20 * MB if night else 10 * GB, compressed=10 * GB),
    ),
    "encrypted little by little": (days(30), poisoned),
    "half gone": (days(30), lambda night: backup(30 + night, size=5 * GB)),
    "a new app, encrypted": (
        days(4),
        lambda night: backup(4 + night, stored=20 * MB if night else 10 * GB, compressed=10 * GB),
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_it_stays_suspect_beyond_the_records_that_are_read(loss: str) -> None:
    past, night_of = LOSSES[loss]
    past = list(past)
    outcomes = []
    for night in range(NIGHTS):
        made = judged(night_of(night), past)
        outcomes.append(made.outcome)
        past.append(made)
    seen = outcomes.index("suspect")
    assert seen <= (5 if loss == "encrypted little by little" else 0)
    assert set(outcomes[seen:]) == {"suspect"}
    past.append(accept(past[-1], 90.5))
    assert judged(backup(91, size=past[-2].size, compressed=past[-2].details[COMPRESSED]), past).outcome == "ok"


def test_content_that_is_as_it_was_is_no_alarm() -> None:
    past = days(30)
    for night in range(5):
        past.append(judged(backup(30 + night, stored=20 * MB if night else 10 * GB, compressed=10 * GB), past))
    assert {each.outcome for each in past[30:]} == {"suspect"}
    assert judged(backup(35, stored=30 * MB), past).outcome == "ok"


@pytest.mark.parametrize("usual", [{}, PHOTOS, {COMPRESSED: None}])
def test_weeks_of_incomplete_backups_are_no_alarm_when_they_end(usual: dict[str, int]) -> None:
    """Each added what a backup adds as a rule, and somewhat more."""
    past = days(30, **usual)
    for night in range(25):
        less = backup(30 + night, size=9 * GB, stored=24 * MB, **usual)
        past.append(
            replace(
                less, outcome="incomplete", details={**less.details, **Verdict(1, ("/srv/x: is not there",)).details}
            )
        )
    assert judged(backup(55, stored=40 * MB, **usual), past).outcome == "ok"


def test_a_month_of_suspect_backups_says_nothing_of_what_is_usual() -> None:
    """Such as those below `expect`: when no good one is known any more, a person says what is right."""
    odd = Verdict(suspect=("4.0 GB, below expect",))
    past = [replace(each, outcome="suspect", details={**each.details, **odd.details}) for each in days(30)]
    made = judged(backup(30), past)
    assert made.details["suspect"] == ["none of the 30 backups before it was good, and nobody has accepted one"]
    assert judged(backup(10), past[:10]).outcome == "ok"
    assert judged(backup(31), [*past, accept(past[-1], 30.5)]).outcome == "ok"
