"""`schedule` in cloudbackup.yml: when each task is due, in the zone of the machine that runs it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from tasks.inventory.secrets import Strict
from tasks.inventory.values import Duration

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # in the order of `date.weekday`
NEVER = "never"
TASKS = ("backup", "check", "verify", "prune")  # what saves comes first; space is freed of what was looked at before
_DAY = rf"(?:{'|'.join(DAYS)})"
_DAYS = rf"(?:daily|{_DAY}(?:,{_DAY})*)"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
WHEN = rf"^(?:{NEVER}|(?:1/(?:[2-9]|[1-9][0-9]) )?(?:{_DAYS}|(?:{_DAYS} )?{_TIME}))$"
EXAMPLES = "02:30, sun 05:00, mon,thu 04:00, sun, 1/7 daily or never"


@dataclass(frozen=True)
class When:
    """The days (0 is Monday) and the time on which a task is due; no days: never; no time: with the backup.

    On each of them it is due for one of `parts` of all apps, so that all have had their turn after `parts` times.
    """

    text: str
    days: frozenset[int]
    at: time | None = None
    parts: int = 1


def read_when(value: object) -> When:
    """Return what texts such as `02:30`, `sun 05:00` and `1/7 daily` mean. Raises ValueError for others."""
    if isinstance(value, When):
        return value
    if not isinstance(value, str) or not re.fullmatch(WHEN, value):
        raise ValueError(f"must be days and a time: {EXAMPLES}")
    if value == NEVER:
        return When(value, frozenset())
    days, at, parts = frozenset(range(len(DAYS))), None, 1
    for word in value.split():
        if word.startswith("1/"):
            parts = int(word[2:])
        elif ":" in word:
            at = time.fromisoformat(word)
        elif word != "daily":
            days = frozenset(DAYS.index(day) for day in word.split(","))
    return When(value, days, at, parts)


Moment = Annotated[
    When,
    PlainValidator(read_when),
    WithJsonSchema({"type": "string", "pattern": WHEN, "examples": ["02:30", "sun 05:00", "1/7 daily", NEVER]}),
]


class Schedule(Strict):
    """When each task is due. A task without a time follows the backup of that day."""

    backup: Moment = Field(read_when("02:30"), description=f"when all apps are saved: {EXAMPLES}")
    prune: Moment = Field(read_when("sun"), description="when archives that `keep` does not keep are dropped")
    check: Moment = Field(read_when("1/7 daily"), description="when repositories are checked; 1/7: a seventh each time")
    verify: Moment = Field(read_when("sun"), description="when backups are proven by restore drills")
    binlog: Duration | None = Field(None, description="how often new binary logs are saved, of apps with `binlog`: 5m")
    jitter: Duration | None = Field(None, description="machines begin up to this long after the time, each at its own")

    def tasks(self) -> Iterator[tuple[str, When]]:
        """Yield each task with its time, in the order in which they run."""
        start = self.backup.at or time(2, 30)
        for task in TASKS:
            when: When = getattr(self, task)
            yield task, When(when.text, when.days, when.at or start, when.parts)

    @property
    def spread(self) -> timedelta:
        """The longest delay of a start."""
        return self.jitter or timedelta(0)
