"""The retention rules of one source: borg's own options."""

from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from tasks.inventory.secrets import Strict
from tasks.inventory.values import Hours

COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def something_kept(*others: str) -> dict[str, Any]:
    """Return the JSON schema for: one of the counts, `within` or one of these other keys is required."""
    counts = [{"required": [name], "properties": {name: {"minimum": 1}}} for name in COUNTS]
    return {"anyOf": [*counts, *({"required": [name]} for name in ("within", *others))]}


class KeepRules(Strict):
    """How many archives of one source stay: borg's `--keep-*` options by their own names."""

    model_config = ConfigDict(json_schema_extra=something_kept())

    last: int = Field(0, ge=0, description="the newest archives, whatever their age")
    hourly: int = Field(0, ge=0, description="one per hour, for so many hours")
    daily: int = Field(0, ge=0, description="one per day, for so many days")
    weekly: int = Field(0, ge=0, description="one per week, for so many weeks")
    monthly: int = Field(0, ge=0, description="one per month, for so many months")
    yearly: int = Field(0, ge=0, description="one per year, for so many years")
    within: Hours | None = Field(None, description="all archives younger than this, whole hours: 48h, 7d")

    @property
    def keeps_something(self) -> bool:
        """Whether these rules alone keep any archive."""
        return bool(self.within) or any(getattr(self, name) for name in COUNTS)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self._enough():
            raise ValueError("would keep nothing: at least one number must be more than 0")
        return self

    def _enough(self) -> bool:
        return self.keeps_something
