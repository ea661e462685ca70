"""Charts of a source's sizes: their content and SVG paths. One unit across is one day of the period."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import pairwise

from tasks import units
from tasks.records.record import Record
from tasks.report.page.period import DAYS, WEEKS, day_of, short, start_of

WIDTH = WEEKS * DAYS  # of every chart
HEIGHT = 500  # of a chart of sizes
LOW = 100  # of a chart of what was added
STEPS = (1, 2, 5, 10)  # a scale ends at one of these times a power of ten
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Chart:
    """The sizes of one source's archives, and what each day's backups added to the repository.

    `line` and `bars` are SVG paths: `line` with relative steps, so that the page stays small. `top` and `most` are the
    upper ends of the two scales in bytes, which begin at 0; `today` is where the period ends. `bars` is empty if
    nothing is known to have been added.
    """

    source: str
    line: str
    bars: str
    top: int
    most: int
    today: int
    size: str
    change: str
    description: str


def charts(records: Iterable[Record], today: date, zone: tzinfo | None) -> tuple[Chart, ...]:
    """Return a chart of each source with a recorded size in the period up to `today`, in the order of their names.

    `records` begin with the oldest. A day's size is that of its last backup. The first backup of a source is not
    counted as an addition: it adds everything, which would flatten all others.
    """
    sources: dict[str, list[Record]] = {}
    for record in records:
        if record.action == "backup" and record.outcome != "failed" and record.size is not None and record.source:
            sources.setdefault(record.source, []).append(record)
    drawn = (_chart(source, sources[source], today, zone) for source in sorted(sources))
    return tuple(chart for chart in drawn if chart is not None)


def _chart(source: str, backups: Sequence[Record], today: date, zone: tzinfo | None) -> Chart | None:
    start = start_of(today)
    sizes: dict[int, int] = {}
    added: Counter[int] = Counter()
    for number, backup in enumerate(backups):
        day = (day_of(backup.time, zone) - start).days
        if 0 <= day < WIDTH:
            sizes[day] = int(backup.size or 0)
            added[day] += int(backup.stored or 0) if number else 0
    if not sizes:
        return None
    days = sorted(sizes)
    top, most = scale(max(sizes.values())), scale(max(added.values()))
    size, change = units.size(sizes[days[-1]]), _change(sizes[days[0]], sizes[days[-1]], days[-1] - days[0])
    return Chart(
        source=source,
        line=_line([(day, _height(sizes[day], top, HEIGHT)) for day in days]),
        bars="".join(f"M{day} {LOW}V{_height(added[day], most, LOW)}" for day in days if added[day]),
        top=top,
        most=most,
        today=(today - start).days,
        size=size,
        change=change,
        description=f"Size of {source} since {short(start)}: {size}{f', {change}' if change else ''}",
    )


def scale(highest: int) -> int:
    """Return the round number of bytes at which a scale up to `highest` ends."""
    power: int = 10 ** (len(str(max(highest, 1))) - 1)
    return next(step * power for step in STEPS if step * power >= max(highest, 1))


def _height(value: int, top: int, height: int) -> int:
    return height - round(value / top * height)


def _line(places: list[tuple[int, int]]) -> str:
    (x, y), *_ = places
    steps = "".join(f"l{right - left} {low - high}" for (left, high), (right, low) in pairwise(places))
    return f"M{x} {y}{steps}"


def _change(old: int, new: int, days: int) -> str:
    percent = f"{(new - old) / old:+.0%}".replace("%", " %").replace("-", MINUS) if old else ""
    return f"{percent} in {days} days" if percent and days >= 2 else ""
