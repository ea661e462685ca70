"""What a person sees while a fleet is worked on: a line for each source, live on a terminal, plain in a log."""

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from tasks.fleet.outcome import Outcome
from tasks.human import clock, size
from tasks.inventory.models import App

if TYPE_CHECKING:
    from rich.live import Live

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


class View:
    """Use as a context manager around the work. Safe for many threads."""

    def __init__(self, apps: Sequence[App]) -> None:
        self._app_width = max((len(app.name) for app in apps), default=0)
        self._source_width = max((len(source) for app in apps for source in app.sources), default=0)
        self._began = time.monotonic()
        self._running: dict[tuple[str, str], tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> "View":
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(get_renderable=self._picture, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, app: str, source: str, text: str) -> None:
        """Show what is being done now."""
        with self._lock:
            began, _ = self._running.get((app, source), (time.monotonic(), ""))
            self._running[app, source] = (began, text)

    def done(self, outcome: Outcome) -> None:
        """Print the line of a source that has ended."""
        with self._lock:
            self._running.pop((outcome.app, outcome.source), None)
        self._print(line(outcome, self._app_width, self._source_width), COLOURS[outcome.status])
        for said in outcome.said[1:] if outcome.failed else outcome.said:
            self._print("      " + said, None)

    def summary(self, outcomes: Sequence[Outcome], verb: str) -> None:
        """Print the last line."""
        self._print(summed(outcomes, verb, time.monotonic() - self._began), None)

    def _print(self, text: str, colour: str | None) -> None:
        if self._live is None:
            print(text, flush=True)
            return
        from rich.text import Text

        self._live.console.print(Text(text, style=colour or ""), soft_wrap=True)

    def _picture(self) -> str:
        from rich.markup import escape

        with self._lock:
            lines = [
                f"{app:{self._app_width}}  {source:{self._source_width}}  {clock(time.monotonic() - began):>5}  {text}"
                for (app, source), (began, text) in self._running.items()
            ]
        return escape("\n".join(lines))


def line(outcome: Outcome, app_width: int = 0, source_width: int = 0) -> str:
    """Return the line of a source that has ended, with columns at least so wide."""
    head = f"{outcome.app:{app_width}}  {outcome.source:{source_width}}  {outcome.status:7}"
    head += f"  {clock(outcome.seconds):>5}"
    if outcome.failed:
        return f"{head}  {outcome.said[0] if outcome.said else ''}"
    numbers = f"{size(outcome.size):>9}" if outcome.size is not None else ""
    added = f"+{size(outcome.stored):<9}" if outcome.stored is not None else ""
    return f"{head}  {numbers}  {added}  {_name(outcome)}".rstrip()


def _name(outcome: Outcome) -> str:
    return outcome.archive or ("nothing new" if outcome.unchanged else "")


def summed(outcomes: Sequence[Outcome], verb: str, seconds: float | None = None) -> str:
    """Return the last line: how many of how many, in which time."""
    failed = sum(outcome.failed for outcome in outcomes)
    text = f"{len(outcomes) - failed} of {len(outcomes)} {verb}"
    text += f" in {clock(seconds)}" if seconds is not None else ""
    return f"{text}, {failed} failed" if failed else text
