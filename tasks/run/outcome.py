"""The outcome for one source of one app, and the exit code of a whole run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.records.verdict import verdict_of

Status = Literal["ok", "warning", "suspect", "incomplete", "failed"]
WORST_FIRST: tuple[Status, ...] = ("failed", "incomplete", "suspect", "warning", "ok")


@dataclass(frozen=True)
class Outcome:
    """The result of one action on one source.

    `ok`: everything is done; `said` then contains harmless remarks. `warning`: done, but a person has to look at
    something. `suspect` and `incomplete` are verdicts on the archive that was made (tasks/records/verdict.py).

    Sizes are in bytes; `said` is the error and its remedy, or the warnings, a line each; `details` go into the record;
    `code` is the error's exit code; `transient` means that a later attempt may succeed, and `once` that it is worth
    only one more attempt; `unchanged` means that there was nothing new to save; `met` is a fault at the moment of
    saving, such as a lost connection.
    """

    app: str
    source: str
    status: Status
    began: datetime
    seconds: float
    size: int | None = None
    stored: int | None = None
    archive: str | None = None
    archive_id: str | None = None
    said: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0
    unchanged: bool = False
    transient: bool = False
    once: bool = False
    storage: str = ""  # shown if an app has several
    met: CloudbackupError | None = None
    unrecorded: bool = False  # no record is written of it

    @classmethod
    def fault(cls, app: str, source: str, began: datetime, error: CloudbackupError) -> "Outcome":
        """Return the outcome of an action that just ended with `error`."""
        lines = str(error).removeprefix(f"{app}: ").splitlines()
        seconds = (datetime.now(UTC) - began).total_seconds()
        said = tuple(line.strip() for line in lines)
        failed = cls(app, source, "failed", began, seconds, said=said, code=error.exit_code)
        return replace(failed, transient=error.transient, once=error.once, unrecorded=error.unrecorded)

    @property
    def failed(self) -> bool:
        """Return whether the source was not saved."""
        return self.status == "failed"

    @property
    def judged(self) -> "Outcome":
        """The outcome with the verdict in its details, unless it is worse already."""
        record = Record(self.app, "backup", self.began, self.status, details=self.details)
        return self.no_better_than(verdict_of(record).status)

    def no_better_than(self, status: Status, *said: str) -> "Outcome":
        """Return the outcome with `status`, or its own if that is worse, and with the lines of `said` added."""
        worst = min(status, self.status, key=WORST_FIRST.index)
        return replace(self, status=worst, said=(*self.said, *said))


def attempted(app: str, source: str, action: Callable[[datetime], Outcome]) -> Outcome:
    """Return the outcome of `action`, which gets its start time, or of the error that it raised.

    An unforeseen exception becomes an outcome too: it must not keep other sources and apps from being saved. Its
    traceback goes into a file that the outcome names. An interruption is raised.
    """
    began = datetime.now(UTC)
    try:
        with foreseen(app):
            return action(began)
    except CloudbackupError as error:
        return Outcome.fault(app, source, began, error)


def faulted(
    app: App, sources: Sequence[str], error: CloudbackupError, done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Return a failed outcome for each source, and show each with `done`, which may be what raised `error`."""
    storage = app.storage if app.label != app.name else ""
    now = datetime.now(UTC)
    outcomes = [replace(Outcome.fault(app.name, source, now, error), storage=storage) for source in sources]
    for outcome in outcomes:
        with suppress(Exception):
            done(outcome)
    return outcomes


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if everything is ok, 3 if some of it is not, 4 if all of it failed or is incomplete.

    2 if only the inventory is to blame for what failed, 5 if everything that is not ok was refused for safety.
    """
    wrong = [outcome for outcome in outcomes if outcome.status != "ok"]
    if not wrong:
        return 0
    for code in (UsageError.exit_code, RefusedError.exit_code):
        if all(outcome.code == code for outcome in wrong):
            return code
    lost = [outcome for outcome in wrong if outcome.status in ("failed", "incomplete")]
    return 4 if len(lost) == len(outcomes) else 3
