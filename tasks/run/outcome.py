"""What became of one source of one app, and what that means for the whole run."""

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
    """The end of one action on one source.

    `ok`: all of it is done; what `said` holds then are harmless remarks. `warning`: done, and a person has to look at
    something. `suspect` and `incomplete` are verdicts on the archive that was made (tasks/records/verdict.py).

    Sizes are bytes; `said` is the error and its remedy, or the warnings, a line each; `details` go into the record;
    `code` is the exit code that belongs to the error, which is `transient` when the same may succeed a little later;
    and `once` when it is worth one more try alone; `unchanged` tells that there was nothing new to save; `met` is what
    happened just when it was saved, such as a lost connection.
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
    storage: str = ""  # said where an app has several
    met: CloudbackupError | None = None
    unrecorded: bool = False  # no record is to be written of it

    @classmethod
    def fault(cls, app: str, source: str, began: datetime, error: CloudbackupError) -> "Outcome":
        """Return the outcome of an action that ended with `error` just now."""
        lines = str(error).removeprefix(f"{app}: ").splitlines()
        seconds = (datetime.now(UTC) - began).total_seconds()
        said = tuple(line.strip() for line in lines)
        failed = cls(app, source, "failed", began, seconds, said=said, code=error.exit_code)
        return replace(failed, transient=error.transient, once=error.once, unrecorded=error.unrecorded)

    @property
    def failed(self) -> bool:
        """Tell whether the source was not saved."""
        return self.status == "failed"

    @property
    def judged(self) -> "Outcome":
        """The outcome with the verdict that its details hold, unless it is worse already."""
        record = Record(self.app, "backup", self.began, self.status, details=self.details)
        return self.no_better_than(verdict_of(record).status)

    def no_better_than(self, status: Status, *said: str) -> "Outcome":
        """Return the outcome with `status`, or its own where that is worse, and with more to say."""
        worst = min(status, self.status, key=WORST_FIRST.index)
        return replace(self, status=worst, said=(*self.said, *said))


def attempted(app: str, source: str, action: Callable[[datetime], Outcome]) -> Outcome:
    """Return the outcome of `action`, which gets the time at which it began, or of its fault.

    A fault of ours, which nobody foresaw, is one as well: it must not keep other sources and apps from being saved.
    Its traceback goes into a file that the outcome names. An interruption is raised.
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
    """Return that each source failed with `error`, and show it by `done`, which may be what failed."""
    storage = app.storage if app.label != app.name else ""
    now = datetime.now(UTC)
    outcomes = [replace(Outcome.fault(app.name, source, now, error), storage=storage) for source in sources]
    for outcome in outcomes:
        with suppress(Exception):
            done(outcome)
    return outcomes


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when all is ok, 3 when some of it is not, 4 when all of it failed or is incomplete.

    2 when the inventory alone is to blame for what failed, 5 when all that is not ok was refused for safety.
    """
    wrong = [outcome for outcome in outcomes if outcome.status != "ok"]
    if not wrong:
        return 0
    for code in (UsageError.exit_code, RefusedError.exit_code):
        if all(outcome.code == code for outcome in wrong):
            return code
    lost = [outcome for outcome in wrong if outcome.status in ("failed", "incomplete")]
    return 4 if len(lost) == len(outcomes) else 3
