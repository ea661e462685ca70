"""The world of one sequence: a clock for everybody, one for each operator, and who is killed when."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

BEGAN = datetime(2026, 11, 22, 3, tzinfo=UTC)


class Killed(BaseException):
    """The operator's process is gone, in the middle of what it did."""


class World:
    """`now` is the right time; `offsets` say by how much each operator's clock is ahead of it."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.who = "ann"
        self.offsets = {"ann": timedelta(0), "bob": timedelta(0)}
        self.steps_left: int | None = None  # writes until the kill
        self.dead = False

    @property
    def clock(self) -> datetime:
        """What the machine of whoever acts shows."""
        return self.now + self.offsets.get(self.who, timedelta(0))

    def step(self) -> None:
        """Begin to write something: raises Killed when the process was killed before it."""
        if self.steps_left is not None:
            self.steps_left -= 1
        if self.dead or self.steps_left == -1:
            self.dead = True
            raise Killed
        self.now += timedelta(seconds=1)  # no two writes share a second

    @contextmanager
    def mortal(self, steps: int | None) -> Iterator[None]:
        """Kill whoever acts before the write number `steps`, counted from 0; None kills nobody."""
        self.steps_left, self.dead = steps, False
        try:
            with suppress(Killed):
                yield
        finally:
            self.steps_left, self.dead = None, False


CURRENT = World()


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Clock(datetime, metaclass=_Kind):
    """Tells the time of the current world."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return CURRENT.clock.astimezone(tz)


def begin() -> World:
    """Begin a new world."""
    global CURRENT  # noqa: PLW0603  # the product asks its modules' clocks
    CURRENT = World()
    return CURRENT


def _sleep(seconds: float) -> None:
    CURRENT.now += timedelta(seconds=seconds)


def _seconds() -> float:
    return CURRENT.clock.timestamp()


def clocked(patch: pytest.MonkeyPatch) -> None:
    """Let the product ask the world's clock, and wait by it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tasks.") and getattr(module, "datetime", None) is datetime:
            patch.setattr(module, "datetime", Clock)
    shim = SimpleNamespace(time=_seconds, sleep=_sleep)
    from tasks.borg import guard
    from tasks.records.record import Record
    from tasks.storage import base

    patch.setattr(Record, "from_json", staticmethod(lru_cache(4096)(Record.from_json)))  # the same few, again and again
    patch.setattr(guard, "time", shim)
    patch.setattr(base, "time", shim)
    patch.setattr(guard, "LOOK", 30.0)
