"""What a backup says of a repository that looks wrong."""

from dataclasses import replace
from datetime import UTC, datetime

from tasks.fleet.recorder import alarmed
from tasks.run.outcome import Outcome, exit_code

FINE = Outcome("shop", "files", "ok", datetime(2026, 11, 22, 3, tzinfo=UTC), 1.0)
DOUBTED = replace(FINE, details={"doubts": ["the key was changed", "one is gone"]})


def test_what_looks_wrong_is_a_warning_once_in_a_run_and_no_failure_but_not_ok() -> None:
    told: set[str] = set()
    assert alarmed(FINE, told) == FINE
    first = alarmed(DOUBTED, told)
    assert (first.status, first.said) == (
        "warning",
        ("the repository looks wrong: the key was changed; one is gone; `inv app.check --app shop` tells more",),
    )
    assert alarmed(replace(DOUBTED, source="mariadb"), told).status == "ok"
    further = alarmed(replace(DOUBTED, details={"doubts": ["the key was changed", "one is forged"]}), told)
    assert further.said == ("the repository looks wrong: one is forged; `inv app.check --app shop` tells more",)
    assert exit_code([first, further]) == 3


def test_a_failure_stays_one() -> None:
    failed = alarmed(replace(DOUBTED, status="failed", said=("it is full",)), set())
    assert (failed.status, failed.said[0], len(failed.said)) == ("failed", "it is full", 2)
