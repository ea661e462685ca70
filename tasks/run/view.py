"""Progress of a run over the apps: live on a terminal, plain timestamped lines in a log."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from tasks.inventory.models import App
from tasks.json_output import written
from tasks.run.outcome import Outcome, Status
from tasks.terminal import one_line, own, printable
from tasks.units import clock, many, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

COLOURS = {"ok": "green", "warning": "yellow", "suspect": "magenta", "incomplete": "red", "failed": "red"}
NOT_OK: dict[Status, str] = {
    "failed": "failed",
    "incomplete": "incomplete",
    "suspect": "suspect",
    "warning": "with a warning",
}
STATUS_WIDTH = len("incomplete")
RATED = 3.0  # seconds before a rate is meaningful


@dataclass(frozen=True)
class Telling:
    """How much is printed: `quiet` leaves out what is well, `verbose` adds each step as it begins.

    `json` prints nothing but one document when all has ended.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False

    @property
    def silent(self) -> bool:
        """Whether to leave out what is no fault."""
        return self.quiet or self.json


@dataclass
class Running:
    """A source in progress: start time, current step, and bytes done of a total (None: not known)."""

    began: float
    text: str
    moving: float | None = None
    done: int = 0
    total: int | None = None

    def shown(self, now: float) -> str:
        """Return the current step, progress and rate, and the remaining time if it can be estimated."""
        if self.moving is None:
            return self.text
        total = self.total if self.total and self.total > self.done else None  # the total is that of last time
        parts = [f"{size(self.done)} of {size(total)}" if total else size(self.done)]
        if now - self.moving >= RATED and self.done:
            rate = self.done / (now - self.moving)
            parts.append(f"{size(int(rate))}/s")
            if total:
                parts.append(f"{clock((total - self.done) / rate)} left")
        return f"{self.text}  {', '.join(parts)}"


class View:
    """Use as a context manager around the work. Safe for many threads."""

    def __init__(self, apps: Sequence[App], telling: Telling | None = None) -> None:
        self._telling = telling or Telling()
        self._app_width = max((len(app.label) for app in apps), default=0)
        self._source_width = max((len(source) for app in apps for source in app.sources), default=0)
        self._expected = len(apps)
        self._storages = {app.name: app.storage for app in apps}
        self._ended = [0, 0]  # number of sources that are well, and that are not
        self._began = time.monotonic()
        self._running: dict[tuple[str, str], Running] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> "View":
        if sys.stdout.isatty() and not self._telling.silent:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=own(sys.stdout))  # its content was made printable before
            self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, app: str, source: str, text: str) -> None:
        """Show the current step."""
        with self._lock:
            known = self._running.get((app, source))
            new = known is None or known.text != text
            self._running[app, source] = Running(known.began if known else time.monotonic(), text)
        if new and self._telling.verbose:
            self._print(f"{app:{self._app_width}}  {source:{self._source_width}}  {text}", "dim")

    def progress(self, app: str, source: str, text: str, done: int, total: int | None = None) -> None:
        """Show `done` bytes of `total`, if known, for the step `text`."""
        with self._lock:
            now = time.monotonic()
            running = self._running.setdefault((app, source), Running(now, text))
            if running.moving is None:
                running.moving = now
            running.text, running.done, running.total = text, max(done, running.done), total  # borg ends with 0

    def done(self, outcome: Outcome) -> None:
        """Print the line of a finished source."""
        with self._lock:
            self._running.pop((outcome.app, outcome.source), None)
            self._ended[outcome.failed] += 1
        if self._telling.quiet and outcome.status == "ok":
            return
        text = line(outcome, self._app_width, self._source_width)
        if self._live is not None and len(text) > self._live.console.width and not outcome.failed:
            text = text.removesuffix(outcome.archive or "").rstrip()  # `report` shows the name
        self._print(text, COLOURS[outcome.status])
        for said in outcome.said[1:] if outcome.failed else outcome.said:
            self._print("      " + one_line(said), None)

    def summary(self, outcomes: Sequence[Outcome], verb: str) -> None:
        """Print the summary line (see `summed`), or the document."""
        if self._telling.json:
            print(document(outcomes, self._storages), flush=True)
        elif not self._telling.quiet or any(outcome.status != "ok" for outcome in outcomes):
            self._print(summed(outcomes, verb, time.monotonic() - self._began), None)

    def _print(self, text: str, colour: str | None) -> None:
        if self._telling.json:
            return
        text = printable(text)
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(text, style=colour or ""), soft_wrap=True)
        elif sys.stdout.isatty():
            print(text, flush=True)
        else:
            print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}  {text}", flush=True)

    def _picture(self) -> "RenderableType":
        """Return a line for each source in progress, none wider than the terminal, and the count."""
        from rich.console import Group
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            lines = [
                f"{app:{self._app_width}}  {source:{self._source_width}}  {clock(now - one.began):>5}  {one.shown(now)}"
                for (app, source), one in self._running.items()
            ]
            apps = len({app for app, _ in self._running})
            well, failed = self._ended
        done = f"{apps} of {many(self._expected, 'app')} under way, {many(well, 'source')} done"
        lines.append(f"{clock(now - self._began)}  {done}")
        lines[-1] += f", {failed} failed" if failed else ""
        return Group(*(Text(printable(each.replace("\n", " ")), no_wrap=True, overflow="ellipsis") for each in lines))


def document(outcomes: Sequence[Outcome], storages: Mapping[str, str]) -> str:
    """Return the outcomes as JSON; `storages` has the storage of each app with a single one, by name."""
    return written({"outcomes": [_values(each, storages) for each in outcomes]})


def _values(outcome: Outcome, storages: Mapping[str, str]) -> dict[str, object]:
    return {
        "app": outcome.app,
        "storage": outcome.storage or storages.get(outcome.app),
        "source": outcome.source or None,
        "status": outcome.status,
        "began": outcome.began,
        "duration_seconds": round(outcome.seconds, 3),
        "size": outcome.size,
        "stored": outcome.stored,
        "archive": outcome.archive,
        "archive_id": outcome.archive_id,
        "said": outcome.said,
    }


def line(outcome: Outcome, app_width: int = 0, source_width: int = 0) -> str:
    """Return the line of a finished source, with columns at least this wide."""
    label = f"{outcome.app} on {outcome.storage}" if outcome.storage else outcome.app
    head = f"{label:{app_width}}  {outcome.source:{source_width}}  {outcome.status:{STATUS_WIDTH}}"
    head += f"  {clock(outcome.seconds):>5}"
    if outcome.failed:
        return f"{head}  {one_line(outcome.said[0]) if outcome.said else ''}"
    numbers = f"{size(outcome.size):>9}" if outcome.size is not None else ""
    added = f"+{size(outcome.stored):<9}" if outcome.stored is not None else ""
    return f"{head}  {numbers}  {added}  {_name(outcome)}".rstrip()


def _name(outcome: Outcome) -> str:
    return outcome.archive or ("nothing new" if outcome.unchanged else "")


def summed(outcomes: Sequence[Outcome], verb: str, seconds: float | None = None) -> str:
    """Return the last line: how many of how many, and the time taken."""
    counts = Counter(outcome.status for outcome in outcomes)
    text = f"{len(outcomes) - counts['failed']} of {len(outcomes)} {verb}"
    text += f" in {clock(seconds)}" if seconds is not None else ""
    return ", ".join([text, *(f"{counts[status]} {words}" for status, words in NOT_OK.items() if counts[status])])
