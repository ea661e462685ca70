"""The steps of a run as exceptions see them, found by watching one run, and a run in which one of them fails.

Two calls inside the same `try` or `with` differ in nothing for an exception that neither handles. So a step is a place
where exceptions are handled, with one call inside it as its example; whoever adds such a place adds a step.
"""

import dis
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import CodeType, FrameType
from typing import Any

import tasks

ROOM = f"{os.path.dirname(tasks.__file__)}/"  # noqa: PTH120
GENERATOR = 0x20
Place = tuple[str, str, int]  # file, function, and where in it an exception that comes out of a call is handled
Step = tuple[str, str]  # file and function of the call


@cache
def _handlers(code: CodeType) -> tuple[Any, ...]:
    return tuple(dis.Bytecode(code).exception_entries)  # type: ignore[attr-defined]  # since Python 3.11


def _place(frame: FrameType | None) -> Place | None:
    """Return the innermost place of ours that handles what is raised in a frame, or below it."""
    while frame is not None:
        code, at = frame.f_code, frame.f_lasti
        if code.co_filename.startswith(ROOM):
            for entry in _handlers(code):
                if entry.start <= at < entry.end:
                    return code.co_filename.removeprefix(ROOM), code.co_qualname, entry.target
        frame = frame.f_back
    return None


def _serves(frame: FrameType | None, app: str) -> bool:
    """Tell whether a call is made for an app, inside what keeps apps apart."""
    mine = False
    while frame is not None:
        mine = mine or any(_names(value, app) for value in list(frame.f_locals.values()))
        if frame.f_code.co_name in {"tried", "_read"}:  # of one app; of one stream of a host
            return mine
        frame = frame.f_back
    return False


def _names(value: Any, app: str) -> bool:
    own = getattr(value, "app", value)
    return app in (own, getattr(own, "name", None)) if not isinstance(value, list | tuple | dict) else False


def _called(frame: FrameType, event: str) -> Step | None:
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(ROOM) or code.co_flags & GENERATOR or "<" in code.co_name:
        return None
    return code.co_filename.removeprefix(ROOM), code.co_qualname


@contextmanager
def _watched(watch: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def steps(run: Callable[[], object], app: str) -> Mapping[Place, Step]:
    """Return the steps of a run for an app: each place where exceptions are handled, with the first call inside it."""
    found: dict[Place, Step] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        step = _called(frame, event)
        place = _place(frame.f_back) if step else None
        if step and place and place not in found and _serves(frame, app):
            found[place] = step

    with _watched(watch):
        run()
    return found


def failing(run: Callable[[], int], app: str, place: Place, step: Step, error: Exception) -> tuple[int, bool]:
    """Return how a run ends in which the first such call fails for an app, and whether that call was made."""
    raised: list[bool] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if not raised and _called(frame, event) == step and _place(frame.f_back) == place and _serves(frame, app):
            raised.append(True)
            raise error

    with _watched(watch):
        return run(), bool(raised)
