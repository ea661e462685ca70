"""Retries one action on one app after a transient fault."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.run.outcome import Outcome, attempted
from tasks.run.session import Session
from tasks.run.view import View

RETRIED = "retried"  # in the details: the faults of earlier attempts, a sentence each


def waiting(wait: float, met: str) -> str:
    """Return the step that is shown while the next attempt waits `wait` seconds."""
    return f"tried again in {wait:.0f} s: {met}"


def patient(session: Session, app: App, source: str, action: Callable[[datetime], Outcome], view: View) -> Outcome:
    """Return the outcome of a repeatable action, as `attempted` does; details list the faults of earlier attempts."""
    met: list[str] = []

    def tell(error: CloudbackupError, wait: float) -> None:
        met.append(error.what.removeprefix(f"{app.name}: "))
        view.step(app.name, source, waiting(wait, met[-1]))

    outcome = attempted(app.name, source, lambda began: session.patiently(lambda: action(began), tell))
    if not met:
        return outcome
    return replace(outcome, details={**outcome.details, RETRIED: (*met, *outcome.details.get(RETRIED, ()))})
