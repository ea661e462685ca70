"""What became of one source of one app, and what that means for the whole run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of one action on one source. Sizes are bytes; `said` is the error or the warnings, a line each."""

    app: str
    source: str
    status: Status
    seconds: float
    size: int | None = None
    stored: int | None = None
    archive: str | None = None
    said: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> bool:
        """Tell whether the source was not saved."""
        return self.status == "failed"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when all is well, 3 when some failed, 4 when all did."""
    failed = sum(outcome.failed for outcome in outcomes)
    if not failed:
        return 0
    return 4 if failed == len(outcomes) else 3
