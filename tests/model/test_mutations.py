"""The random sequences find what once lost data: each of these puts an old fault back, and one of them must fail.

A check or drill that failed did not stop a prune; a second rollback went by points that the first had undone, and said
that all was as it was; and what a colleague did while a question waited was not looked at.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tasks.borg import refusals, removal, transactions
from tests.model.machine import Sequences

MANY = settings(
    max_examples=1000,
    derandomize=True,
    stateful_step_count=25,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def _nothing(*_: object) -> Iterable[Any]:
    return ()


def blind_to_checks_and_drills(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(refusals, "_check", _nothing)
    patch.setattr(refusals, "_drills", _nothing)
    known = property(lambda found: frozenset(found.ids & set(found.known.made)))
    patch.setattr(refusals.Evidence, "good", known)


def blind_to_earlier_rollbacks(patch: pytest.MonkeyPatch) -> None:
    def points(logged: Mapping[int, Any], told: Mapping[int, Any], *_: object) -> list[Any]:
        found = {number: transactions.Point(number, time) for number, time in logged.items()} | dict(told)
        return [found[number] for number in sorted(found)]

    patch.setattr(transactions, "points", points)
    patch.setattr(transactions, "unlike", _nothing)
    patch.setattr(transactions._Past, "_rolled_back", _nothing)


def blind_to_colleagues(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(removal, "renewed", lambda intention, _: intention.choice)
    patch.setattr(removal, "_as_intended", _nothing)


@pytest.mark.parametrize(
    ("blind", "says"),
    [
        (blind_to_checks_and_drills, "failed check|failed drill|leaves no good archive|although the newest"),
        (blind_to_earlier_rollbacks, "it went back to|it says that"),
        (blind_to_colleagues, "frees|leaves no good archive|a theft"),
    ],
)
def test_random_sequences_find_an_old_fault(
    monkeypatch: pytest.MonkeyPatch, blind: Callable[[pytest.MonkeyPatch], None], says: str
) -> None:
    blind(monkeypatch)
    with pytest.raises(AssertionError, match=says):
        run_state_machine_as_test(Sequences, settings=MANY)
