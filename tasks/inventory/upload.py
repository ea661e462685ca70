"""`upload`: how fast data may be sent to a storage, by the hour."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

RATE = r"^[1-9][0-9]{0,6}(?:\.[0-9]{1,3})? ?(?:kB|MB|GB)/s$"
HOURS = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
FORM = 'must be a rate such as 20MB/s, or {limit: 20MB/s, "08:00-18:00": 5MB/s}'
DAY = 24 * 60  # minutes
LEAST = 1024  # bytes a second: borg counts in KiB


@dataclass(frozen=True)
class Hours:
    """A part of the day, from `begin` up to and without `end`, in minutes; over midnight if the end comes first.

    `rate` is in bytes a second, None for as fast as it goes.
    """

    text: str
    begin: int
    end: int
    rate: int | None

    def holds(self, minute: int) -> bool:
        """Return whether a minute of the day is in it."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    @property
    def minutes(self) -> frozenset[int]:
        """Return every minute in it."""
        return frozenset(minute for minute in range(DAY) if self.holds(minute))


@dataclass(frozen=True)
class Upload:
    """The limit in bytes a second, None for none, and the hours in which another one holds; no two overlap."""

    limit: int | None
    hours: tuple[Hours, ...] = ()

    def at(self, moment: time) -> int | None:
        """Return the limit at a time of the day on the operator's clock, in bytes a second; None for none."""
        minute = moment.hour * 60 + moment.minute
        return next((part.rate for part in self.hours if part.holds(minute)), self.limit)

    def now(self) -> int | None:
        """Return the limit that holds now, in bytes a second; None for none."""
        return self.at(datetime.now().astimezone().time())

    def part(self, moment: time) -> str:
        """Return the hours whose limit holds at a time of the day as they are written; empty if none do."""
        minute = moment.hour * 60 + moment.minute
        return next((part.text for part in self.hours if part.holds(minute)), "")


def read_rate(value: object) -> int | None:
    """Return the bytes a second of texts such as `20MB/s` and `500kB/s`; None for `none`. Raises ValueError."""
    if value == "none":
        return None
    found = re.match(r"([0-9.]+) ?([kMG]B)", value) if isinstance(value, str) and re.fullmatch(RATE, value) else None
    if found is None:
        raise ValueError("must be a rate: 500kB/s, 20MB/s, or none for as fast as it goes")
    rate = round(float(found[1]) * UNITS[found[2]])
    if rate < LEAST:
        raise ValueError("must be at least 2kB/s")
    return rate


def read_upload(value: object) -> Upload:
    """Return a limit, alone or by the hour. Raises ValueError, also for hours that overlap."""
    if isinstance(value, Upload):
        return value
    if not isinstance(value, Mapping):
        return Upload(read_rate(value))
    if not value:
        raise ValueError(FORM)
    hours = tuple(_hours(str(name), rate) for name, rate in value.items() if name != "limit")
    taken: set[int] = set()
    for part in hours:
        if taken & part.minutes:
            raise ValueError(f"has two limits for one time: {part.text} overlaps with hours before it")
        taken |= part.minutes
    return Upload(read_rate(value.get("limit", "none")), hours)


def _hours(name: str, rate: object) -> Hours:
    if not re.fullmatch(HOURS, name):
        raise ValueError(f"{FORM}; hours are written as 08:00-18:00, in quotes")
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in name.split("-"))
    if begin == end:
        raise ValueError(f"has hours without length: {name}")
    return Hours(name, begin, end, read_rate(rate))


_RATE_SCHEMA = {"anyOf": [{"const": "none"}, {"type": "string", "pattern": RATE}]}
UploadLimit = Annotated[
    Upload,
    PlainValidator(read_upload),
    WithJsonSchema(
        {
            "anyOf": [
                *_RATE_SCHEMA["anyOf"],
                {
                    "type": "object",
                    "minProperties": 1,
                    "properties": {"limit": _RATE_SCHEMA},
                    "patternProperties": {HOURS: _RATE_SCHEMA},
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
