"""The calendar of a repository's runs: its content and SVG paths. Lengths are in SVG units."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

from tasks.records.record import UNCHANGED, Record
from tasks.report.page.period import DAYS, WEEKS, day_of, short, start_of
from tasks.times import MONTHS

PITCH, CELL = 13, 11  # distance and size of the days
SAVING = ("backup", UNCHANGED)
ACTIONS = (*SAVING, "verify", "check", "prune")  # whose failures are shown; a failed restore says nothing about backups
MARKED = ("failed", "partly", "warned")  # kinds of days that have details
LACKING = ("failed", "incomplete")  # outcomes of a backup that lacks part of a source


@dataclass(frozen=True)
class Day:
    """A day with details: its kind, its position, and its tooltip."""

    kind: str
    x: int
    y: int
    description: str


@dataclass(frozen=True)
class Calendar:
    """The days of the last weeks, one column per week, Monday first. `saved` and `empty` are SVG paths of days.

    Days before the first run are left out. A day is `failed` if anything failed, `partly` if not every source was saved
    completely, `warned` if all were but one has a warning, `saved` if all were, and `empty` if nothing was done.
    """

    width: int
    height: int
    saved: str
    empty: str
    marked: tuple[Day, ...]
    months: tuple[tuple[int, str], ...]
    description: str


def calendar(records: Iterable[Record], sources: Collection[str], today: date, zone: tzinfo | None) -> Calendar:
    """Return the calendar of a repository's backups of all `sources`, up to `today` in `zone`."""
    start = start_of(today)
    days = [start + timedelta(days=number) for number in range((today - start).days + 1)]
    done: dict[date, list[Record]] = {}
    for record in records:
        if record.action in ACTIONS:
            done.setdefault(day_of(record.time, zone), []).append(record)
    first = min(done, default=today)
    kinds = {day: _kind(done.get(day, []), sources) for day in days if day >= first}
    gaps = [day for day, kind in kinds.items() if kind == "empty" and first < day < today]
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
        description=_description(start, Counter(kinds.values()), len(gaps)),
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
    parts = [
        f"{record.action} {record.source or ''}".rstrip() + f": {record.error or record.outcome}" for record in bad
    ]
    saved, tried = _saved(done), {record.source for record in done if record.action in SAVING}
    parts += [f"{source} saved" for source in sources if source in saved]
    parts += [f"no backup of {source} recorded" for source in sources if source not in tried]
    return f"{short(day)}: {'; '.join(dict.fromkeys(parts))}"


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


def _description(start: date, counts: Counter[str], gaps: int) -> str:
    whole = counts["saved"] + counts["warned"]
    parts = [f"{whole} {'day' if whole == 1 else 'days'} with every source saved"]
    parts += [f"{counts['partly']} with some only"] if counts["partly"] else []
    parts += [f"{counts['failed']} with a failure"]
    parts += [f"{gaps} without a backup"] if gaps else []
    return f"Runs since {short(start)}: {', '.join(parts)}"
