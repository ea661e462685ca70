"""Drawings of an app's history: what they show in figures, and where their lines run. Sizes are the drawing's units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from tasks import human
from tasks.report.human import MONTHS
from tasks.storage.records import Record

WIDTH, HEIGHT = 320.0, 96.0  # of a growth chart's area
WEEKS = 18  # of a calendar
PITCH, CELL = 13, 11  # of a calendar's days
DAYS = 7
ACTIONS = ("backup", "verify", "check", "prune")  # whose failures are shown; a restore's says nothing of backups
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Line:
    """The sizes of one source over time. `line` and `area` are SVG paths; `last` is where the newest point lies."""

    source: str
    line: str
    area: str
    last: tuple[float, float]
    size: str
    change: str


@dataclass(frozen=True)
class Growth:
    """What an app's archives hold, over time."""

    lines: tuple[Line, ...]
    top: str
    first: str
    newest: str
    told: str


@dataclass(frozen=True)
class Failure:
    """A day on which something failed: where it is drawn, and what a pointer over it shows."""

    x: int
    y: int
    told: str


@dataclass(frozen=True)
class Calendar:
    """The days of the last weeks, a column each week, Monday first. `saved` and `empty` are SVG paths of days."""

    width: int
    height: int
    saved: str
    warned: str
    empty: str
    failures: tuple[Failure, ...]
    months: tuple[tuple[int, str], ...]
    told: str


def growth(records: Iterable[Record], zone: tzinfo | None) -> Growth | None:
    """Return the chart of an app's backups, or None when no record tells a size."""
    points: dict[str, list[tuple[datetime, int]]] = {}
    for record in records:
        if record.action == "backup" and record.outcome != "failed" and record.size is not None and record.source:
            points.setdefault(record.source, []).append((record.time, int(record.size)))
    if not points:
        return None
    times = [time for line in points.values() for time, _ in line]
    first, last = min(times), max(times)
    top = max([1, *(size for line in points.values() for _, size in line)])
    span = max((last - first).total_seconds(), 1.0)

    def place(point: tuple[datetime, int]) -> tuple[float, float]:
        x = (point[0] - first).total_seconds() / span * WIDTH if last > first else WIDTH
        return round(x, 1), round(HEIGHT - point[1] / top * HEIGHT, 1)

    lines = tuple(_line(source, line, [place(point) for point in line]) for source, line in sorted(points.items()))
    told = "; ".join(f"{line.source} {line.size}{f', {line.change}' if line.change else ''}" for line in lines)
    days = [_short(time.astimezone(zone).date()) for time in (first, last)]
    return Growth(lines, human.size(top), days[0], days[1], f"Size of the archives, {days[0]} to {days[1]}: {told}")


def _line(source: str, points: Sequence[tuple[datetime, int]], places: Sequence[tuple[float, float]]) -> Line:
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    area = f"{path}L{places[-1][0]:g} {HEIGHT:g}L{places[0][0]:g} {HEIGHT:g}Z"
    (began, old), (ended, new) = points[0], points[-1]
    days = (ended - began).days
    percent = f"{(new - old) / old:+.0%}".replace("%", " %").replace("-", MINUS) if old else ""
    change = f"{percent} in {days} days" if percent and days >= 2 else ""
    return Line(source, path, area, places[-1], human.size(new), change)


def calendar(records: Iterable[Record], today: date, zone: tzinfo | None) -> Calendar:
    """Return the calendar of what was done to an app's backups, up to `today` in `zone`."""
    start = today - timedelta(days=today.weekday() + DAYS * (WEEKS - 1))
    days = [start + timedelta(days=number) for number in range((today - start).days + 1)]
    done: dict[date, list[Record]] = {}
    for record in records:
        if record.action in ACTIONS:
            done.setdefault(record.time.astimezone(zone).date(), []).append(record)
    of_kind: dict[str, list[date]] = {"saved": [], "warned": [], "failed": [], "empty": []}
    for day in days:
        of_kind[_kind(done.get(day, []))].append(day)
    gaps = [day for day in of_kind["empty"] if done and min(done) < day < today]
    return Calendar(
        width=WEEKS * PITCH,
        height=DAYS * PITCH,
        saved=_cells(of_kind["saved"], start),
        warned=_cells(of_kind["warned"], start),
        empty=_cells(of_kind["empty"], start),
        failures=tuple(Failure(*_corner(day, start), _reasons(day, done[day])) for day in of_kind["failed"]),
        months=tuple(_months(start)),
        told=_told(start, len(of_kind["saved"]) + len(of_kind["warned"]), len(of_kind["failed"]), len(gaps)),
    )


def _kind(done: Sequence[Record]) -> str:
    if any(record.outcome == "failed" for record in done):
        return "failed"
    saved = [record for record in done if record.action == "backup"]
    if any(record.outcome == "warning" for record in saved):
        return "warned"
    return "saved" if saved else "empty"


def _reasons(day: date, done: Sequence[Record]) -> str:
    failed = [record for record in done if record.outcome == "failed"]
    told = (f"{record.action} {record.source or ''}".rstrip() + f": {record.error or 'failed'}" for record in failed)
    return f"{_short(day)}: {'; '.join(told)}"


def _cells(days: Iterable[date], start: date) -> str:
    return "".join(f"M{x} {y}h{CELL}v{CELL}h-{CELL}z" for x, y in (_corner(day, start) for day in days))


def _corner(day: date, start: date) -> tuple[int, int]:
    return (day - start).days // DAYS * PITCH, day.weekday() * PITCH


def _months(start: date) -> Iterable[tuple[int, str]]:
    """Yield where a month's name stands: above the first week that begins in it."""
    for week in range(WEEKS):
        monday = start + timedelta(weeks=week)
        if monday.day <= DAYS:
            yield week * PITCH, MONTHS[monday.month - 1]


def _told(start: date, saved: int, failed: int, gaps: int) -> str:
    days = "day" if saved == 1 else "days"
    text = f"Runs since {_short(start)}: {saved} {days} without a failure, {failed} with one"
    return f"{text}, {gaps} without a backup" if gaps else text


def _short(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"
