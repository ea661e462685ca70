"""Charts of a repository's history: their content and SVG paths. Lengths are in SVG units."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from tasks import units
from tasks.records.record import UNCHANGED, Record
from tasks.times import MONTHS

WIDTH, HEIGHT = 320.0, 96.0  # of the plot area of a growth chart
WEEKS = 18  # shown in a calendar
PITCH, CELL = 13, 11  # distance and size of a calendar's days
DAYS = 7
SAVING = ("backup", UNCHANGED)
ACTIONS = (*SAVING, "verify", "check", "prune")  # whose failures are shown; a failed restore says nothing about backups
MARKED = ("failed", "partly", "warned")  # kinds of days that have details
LACKING = ("failed", "incomplete")  # outcomes of a backup that lacks part of a source
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Line:
    """The sizes of one source over time. `line` and `area` are SVG paths; `last` is the newest point."""

    source: str
    line: str
    area: str
    last: tuple[float, float]
    size: str
    change: str


@dataclass(frozen=True)
class Growth:
    """The size of an app's archives over time."""

    lines: tuple[Line, ...]
    top: str
    first: str
    newest: str
    told: str


@dataclass(frozen=True)
class Day:
    """A day with details: its kind, its position, and its tooltip."""

    kind: str
    x: int
    y: int
    told: str


@dataclass(frozen=True)
class Calendar:
    """The days of the last weeks, one column per week, Monday first. `saved` and `empty` are SVG paths of days.

    A day is `failed` if anything failed, `partly` if not every source was saved completely, `warned` if all were but
    one has a warning, `saved` if all were, and `empty` if nothing was done.
    """

    width: int
    height: int
    saved: str
    empty: str
    marked: tuple[Day, ...]
    months: tuple[tuple[int, str], ...]
    told: str


def growth(records: Iterable[Record], zone: tzinfo | None) -> Growth | None:
    """Return the chart of an app's backups; None if no record has a size."""
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
    return Growth(lines, units.size(top), days[0], days[1], f"Size of the archives, {days[0]} to {days[1]}: {told}")


def _line(source: str, points: Sequence[tuple[datetime, int]], places: Sequence[tuple[float, float]]) -> Line:
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    area = f"{path}L{places[-1][0]:g} {HEIGHT:g}L{places[0][0]:g} {HEIGHT:g}Z"
    (began, old), (ended, new) = points[0], points[-1]
    days = (ended - began).days
    percent = f"{(new - old) / old:+.0%}".replace("%", " %").replace("-", MINUS) if old else ""
    change = f"{percent} in {days} days" if percent and days >= 2 else ""
    return Line(source, path, area, places[-1], units.size(new), change)


def calendar(records: Iterable[Record], sources: Collection[str], today: date, zone: tzinfo | None) -> Calendar:
    """Return the calendar of a repository's backups of all `sources`, up to `today` in `zone`."""
    start = today - timedelta(days=today.weekday() + DAYS * (WEEKS - 1))
    days = [start + timedelta(days=number) for number in range((today - start).days + 1)]
    done: dict[date, list[Record]] = {}
    for record in records:
        if record.action in ACTIONS:
            done.setdefault(record.time.astimezone(zone).date(), []).append(record)
    kinds = {day: _kind(done.get(day, []), sources) for day in days}
    gaps = [day for day, kind in kinds.items() if kind == "empty" and done and min(done) < day < today]
    return Calendar(
        width=WEEKS * PITCH,
        height=DAYS * PITCH,
        saved=_cells((day for day, kind in kinds.items() if kind == "saved"), start),
        empty=_cells((day for day, kind in kinds.items() if kind == "empty"), start),
        marked=tuple(
            Day(kind, *_corner(day, start), _reasons(day, done[day], sources))
            for day, kind in kinds.items()
            if kind in MARKED
        ),
        months=tuple(_months(start)),
        told=_told(start, Counter(kinds.values()), len(gaps)),
    )


def _kind(done: Sequence[Record], sources: Collection[str]) -> str:
    if any(record.outcome == "failed" for record in done):
        return "failed"
    saved = _saved(done)
    if not saved and not any(record.outcome == "incomplete" for record in done):
        return "empty"
    if not saved.issuperset(sources):
        return "partly"
    return "warned" if any(record.outcome in ("warning", "suspect") for record in done) else "saved"


def _saved(done: Sequence[Record]) -> set[str | None]:
    return {record.source for record in done if record.action in SAVING and record.outcome not in LACKING}


def _reasons(day: date, done: Sequence[Record], sources: Collection[str]) -> str:
    """Return what went wrong on a day, each fault once, and what was saved nevertheless."""
    bad = [record for record in done if record.outcome != "ok"]
    told = [f"{record.action} {record.source or ''}".rstrip() + f": {record.error or record.outcome}" for record in bad]
    saved, tried = _saved(done), {record.source for record in done if record.action in SAVING}
    told += [f"{source} saved" for source in sources if source in saved]
    told += [f"no backup of {source} recorded" for source in sources if source not in tried]
    return f"{_short(day)}: {'; '.join(dict.fromkeys(told))}"


def _cells(days: Iterable[date], start: date) -> str:
    return "".join(f"M{x} {y}h{CELL}v{CELL}h-{CELL}z" for x, y in (_corner(day, start) for day in days))


def _corner(day: date, start: date) -> tuple[int, int]:
    return (day - start).days // DAYS * PITCH, day.weekday() * PITCH


def _months(start: date) -> Iterable[tuple[int, str]]:
    """Yield the positions of the months' names, each above the first week that begins in the month."""
    for week in range(WEEKS):
        monday = start + timedelta(weeks=week)
        if monday.day <= DAYS:
            yield week * PITCH, MONTHS[monday.month - 1]


def _told(start: date, counts: Counter[str], gaps: int) -> str:
    whole = counts["saved"] + counts["warned"]
    told = [f"{whole} {'day' if whole == 1 else 'days'} with every source saved"]
    told += [f"{counts['partly']} with some only"] if counts["partly"] else []
    told += [f"{counts['failed']} with a failure"]
    told += [f"{gaps} without a backup"] if gaps else []
    return f"Runs since {_short(start)}: {', '.join(told)}"


def _short(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"
