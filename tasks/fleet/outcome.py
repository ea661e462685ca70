"""What became of one source of one app, and what that means for the whole run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The end of one action on one source.

    Sizes are bytes; `said` is the error and its remedy, or the warnings, a line each; `details` go into the record.
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
