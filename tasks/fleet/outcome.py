"""What became of one source of one app, and what that means for the whole run."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tasks.errors import CloudbackupError, InterruptedRunError, RefusedError, UsageError

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of one action on one source.

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

    @classmethod
    def fault(cls, app: str, source: str, began: datetime, error: CloudbackupError) -> "Outcome":
        """Return the outcome of an action that ended with `error` just now."""
        lines = str(error).removeprefix(f"{app}: ").splitlines()
        seconds = (datetime.now(UTC) - began).total_seconds()
        said = tuple(line.strip() for line in lines)
        code, transient = error.exit_code, error.transient
        return cls(app, source, "failed", began, seconds, said=said, code=code, transient=transient, once=error.once)

    @property
    def failed(self) -> bool:
        """Tell whether the source was not saved."""
        return self.status == "failed"


def attempted(app: str, source: str, action: Callable[[datetime], Outcome]) -> Outcome:
    """Return the outcome of `action`, which gets the time at which it began, or of its fault.

    A fault of ours, which nobody foresaw, is one as well: it must not keep other sources and apps from being saved.
    Its traceback goes to standard error. An interruption is raised.
    """
    began = datetime.now(UTC)
    try:
        return action(began)
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        return Outcome.fault(app, source, began, error)
    except Exception as error:
        traceback.print_exc()
        return Outcome.fault(app, source, began, CloudbackupError(f"unexpected: {type(error).__name__}: {error}"))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when all is well, 3 when some failed, 4 when all did.

    2 when the inventory alone is to blame for what failed, 5 when all that failed was refused for safety.
    """
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not failed:
        return 0
    for code in (UsageError.exit_code, RefusedError.exit_code):
        if all(outcome.code == code for outcome in failed):
            return code
    return 4 if len(failed) == len(outcomes) else 3
