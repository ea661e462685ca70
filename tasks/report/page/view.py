"""The page's content, in words and figures; the template only arranges it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tasks import units
from tasks.report.forecast import days_left, told
from tasks.report.formats import Look
from tasks.report.page.charts import Calendar, Growth, calendar, growth
from tasks.report.rows import WORST_FIRST, Report, Row, Status, StorageRow, verdict
from tasks.times import age, ago, moment, utc

SIGNS: dict[Status, str] = {
    "failed": "✕",
    "missing": "∅",
    "incomplete": "◐",
    "suspect": "!",
    "late": "◷",
    "unknown": "?",
    "ok": "✓",
}
DAYS = (  # kinds of days in a calendar, with their meaning
    ("saved", "every source saved"),
    ("warned", "with something to look at"),
    ("partly", "some only, or incomplete"),
    ("failed", "something failed"),
    ("empty", "no backup recorded"),
)
FRESH_PROOF = timedelta(days=35)  # a monthly drill, with some days to spare
HISTORY = timedelta(days=400)
CLOCKS_DIFFER = timedelta(days=1)
FULL_SOON = 30  # days
NEARLY_FULL = 0.85


@dataclass(frozen=True)
class Cell:
    """A text, its sort key, and its kind: `num` is right-aligned."""

    name: str
    text: str
    key: str
    kind: str = ""


@dataclass(frozen=True)
class Line:
    """A row of the table; `card` identifies its history."""

    row: Row
    card: str
    sign: str
    age: str
    cells: tuple[Cell, ...]
    words: str
    severity: int
    good: str


@dataclass(frozen=True)
class Space:
    """A storage, its used space in per cent, and a remark."""

    row: StorageRow
    percent: float | None
    level: str
    used: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """The history of one repository: `label` is for people, `name` is the identifier that the rows refer to."""

    name: str
    label: str
    host: str
    status: str
    sign: str
    growth: Growth | None
    calendar: Calendar


@dataclass(frozen=True)
class Share:
    """A segment of the bar over all sources, in per cent from the left."""

    status: str
    sign: str
    count: int
    start: float
    width: float


@dataclass(frozen=True)
class View:
    """The whole page."""

    generated: str
    machine: str
    verdict: str
    level: str
    counts: str
    shares: tuple[Share, ...]
    figures: tuple[tuple[str, str], ...]
    wrong: tuple[Line, ...]
    remarks: tuple[Line, ...]
    lines: tuple[Line, ...]
    headers: tuple[str, ...]
    spaces: tuple[Space, ...]
    cards: tuple[Card, ...]
    days: tuple[tuple[str, str], ...]


def view(report: Report, look: Look) -> View:
    """Convert a report to the page's content."""
    now = report.generated
    lines = tuple(_line(row, report, look.zone) for row in report.worst_first)
    return View(
        generated=moment(now, now, look.zone),
        machine=utc(now),
        verdict=verdict(report),
        level=_level(report.apps),
        counts=_counts(report),
        shares=_shares(report.apps),
        figures=_figures(report),
        wrong=tuple(line for line in lines if line.row.status != "ok"),
        remarks=tuple(line for line in lines if line.row.status == "ok" and line.row.error),
        lines=lines,
        headers=tuple(cell.name for cell in lines[0].cells) if lines else (),
        spaces=tuple(_space(row, report) for row in report.storages),
        cards=_cards(report, look.zone),
        days=DAYS,
    )


def _level(rows: Sequence[Row]) -> str:
    """Return the worst of `ok`, `late` and `failed`. An empty inventory saves nothing, so it is not ok."""
    states = {row.status for row in rows}
    if states == {"ok"}:
        return "ok"
    return "failed" if states - {"ok", "late"} else "late"


def _counts(report: Report) -> str:
    apps = len({row.app for row in report.apps})
    told = [_plural(apps, "app"), _plural(len(report.apps), "source"), _plural(len(report.storages), "storage")]
    return ", ".join(told)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _shares(rows: Sequence[Row]) -> tuple[Share, ...]:
    counts = Counter(row.status for row in rows)
    shares: list[Share] = []
    start = 0.0
    for state in reversed(WORST_FIRST):
        if width := 100 * counts[state] / max(len(rows), 1):
            shares.append(Share(state, SIGNS[state], counts[state], round(start, 2), round(width, 2)))
            start += width
    return tuple(shares)


def _figures(report: Report) -> tuple[tuple[str, str], ...]:
    fresh = sum(1 for row in report.apps if row.proven and report.generated - row.proven <= FRESH_PROOF)
    held = sum(row.size or 0 for row in report.apps)
    added = sum(row.stored or 0 for row in report.apps)
    archives = sum(row.archives or 0 for row in report.apps)
    return (
        (f"{fresh} of {len(report.apps)}", f"proven by a restore drill within {FRESH_PROOF.days} days"),
        (units.size(held), "held by the newest archives"),
        (units.size(added), "added by the newest backups"),
        (f"{archives:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"), "archives to choose from"),
    )


def _line(row: Row, report: Report, zone: tzinfo | None) -> Line:
    now = report.generated
    never = "never" if row.status == "missing" else ""
    old = age(row.age_seconds) if row.age_seconds is not None else ""
    cells = [Cell("storage", row.storage, row.storage)] if report.with_copies else []
    cells += [
        Cell("last saved", moment(row.last, now, zone) if row.last else never, _time_key(row.last)),
        Cell("age", old, _key(row.age_seconds)),
        Cell("archives", str(row.archives) if row.archives is not None else "", _key(row.archives), "num"),
        Cell("size", units.size(row.size), _key(row.size), "num"),
        Cell("added", units.size(row.stored), _key(row.stored), "num"),
        Cell("proven", _proven(row, now), _time_key(row.proven)),
    ]
    if any(each.recoverable_until for each in report.apps):
        until = moment(row.recoverable_until, now, zone) if row.recoverable_until else ""
        cells.append(Cell("recoverable until", until, _time_key(row.recoverable_until)))
    words = " ".join((row.app, row.source, row.status, row.host, row.storage, row.error or "")).lower()
    good = f"last good one {ago(row.last_good, now)}" if row.last_good and row.last_good != row.last else ""
    return Line(
        row, _card(row, report), SIGNS[row.status], old, tuple(cells), words, WORST_FIRST.index(row.status), good
    )


def _card(row: Row, report: Report) -> str:
    """Return a unique identifier of a repository's card; names in the inventory never contain an @."""
    return f"{row.app}@{row.storage}" if _has_copies(row.app, report) else row.app


def _has_copies(app: str, report: Report) -> bool:
    return len({row.storage for row in report.apps if row.app == app}) > 1


def _proven(row: Row, now: datetime) -> str:
    return "" if row.status == "unknown" and row.proven is None else ago(row.proven, now)


def _key(value: float | None) -> str:
    return "" if value is None else str(value)


def _time_key(when: datetime | None) -> str:
    return "" if when is None else str(int(when.timestamp()))


def _space(row: StorageRow, report: Report) -> Space:
    if row.used is None:
        return Space(row, None, "unknown", "space unknown", (row.error or "it could not be asked",))
    share = row.used / row.size if row.size else None
    growth, left = report.growth.get(row.storage), days_left(row, report)
    soon = left is not None and left < FULL_SOON
    level = "failed" if share is not None and share >= 0.95 else "late" if soon or (share or 0) >= NEARLY_FULL else "ok"
    of = f" of {units.size(row.size)}" if row.size else ""
    notes = [row.error] if row.error else []
    if growth is not None:
        notes.append(f"backups add about {units.size(int(growth))} a day")
    if left is not None:
        notes.append(f"{told(left)} if nothing were pruned")
    return Space(row, None if share is None else round(100 * share, 1), level, units.size(row.used) + of, tuple(notes))


def _cards(report: Report, zone: tzinfo | None) -> tuple[Card, ...]:
    today = report.generated.astimezone(zone).date()
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in report.apps:
        rows.setdefault((row.storage, row.app), []).append(row)
    cards = []
    for (storage, app), own in rows.items():
        # A forged date would stretch every chart.
        earliest, latest = report.generated - HISTORY, report.generated + CLOCKS_DIFFER
        past = [each for each in report.records.get((storage, app), ()) if earliest < each.time < latest]
        status = min((row.status for row in own), key=WORST_FIRST.index)
        cards.append(
            Card(
                name=_card(own[0], report),
                label=f"{app} on {storage}" if _has_copies(app, report) else app,
                host=own[0].host,
                status=status,
                sign=SIGNS[status],
                growth=growth(past, zone),
                calendar=calendar(past, [row.source for row in own], today, zone),
            )
        )
    return tuple(cards)
