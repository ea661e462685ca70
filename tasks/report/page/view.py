"""The page's content, in words and figures; the template only arranges it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tasks import units
from tasks.report.forecast import days_left, in_words
from tasks.report.formats import Look
from tasks.report.page.apps import App, apps
from tasks.report.page.problems import Problem, problems
from tasks.report.page.signs import SIGNS
from tasks.report.rows import WORST_FIRST, Report, Row, StorageRow, verdict
from tasks.times import MONTHS, utc, zone_name

DAYS = (  # kinds of days in a calendar, with their meaning
    ("saved", "every source saved"),
    ("warned", "with something to look at"),
    ("partly", "some only, or incomplete"),
    ("failed", "something failed"),
    ("empty", "no backup recorded"),
)
FRESH_PROOF = timedelta(days=35)  # a monthly drill, with some days to spare
LIFETIME = timedelta(hours=26)  # of a report without any app
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FULL_SOON = 30  # days
NEARLY_FULL = 0.85


@dataclass(frozen=True)
class Space:
    """A storage, its used space in per cent, and a remark."""

    row: StorageRow
    percent: float | None
    level: str
    used: str
    notes: tuple[str, ...]


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
    """The whole page. `machine` and `expires` are times for the script: when it was made, when it is out of date."""

    generated: str
    machine: str
    expires: str
    reload: int
    fault: str
    verdict: str
    level: str
    counts: str
    shares: tuple[Share, ...]
    figures: str
    wrong: tuple[Problem, ...]
    bad: str
    remarks: tuple[Problem, ...]
    apps: tuple[App, ...]
    spaces: tuple[Space, ...]
    days: tuple[tuple[str, str], ...]


def view(report: Report, look: Look) -> View:
    """Convert a report to the page's content."""
    now = report.generated
    bad = [row for row in report.worst_first if not row.well]
    noted = [row for row in report.worst_first if row.well and row.error]
    return View(
        generated=_dated(now, look.zone),
        machine=utc(now),
        expires=utc(now + (look.lifetime or _lifetime(report))),
        reload=look.reload,
        fault=look.fault,
        verdict=verdict(report),
        level=_level(report.apps),
        counts=_counts(report),
        shares=_shares(report.apps),
        figures=_figures(report),
        wrong=problems(bad, now),
        bad=f"{_plural(len(bad), 'source')} of {_plural(len({row.app for row in bad}), 'app')}",
        remarks=problems(noted, now),
        apps=apps(report, look.zone),
        spaces=tuple(_space(row, report) for row in report.storages),
        days=DAYS,
    )


def _dated(when: datetime, zone: tzinfo | None) -> str:
    """Return a moment with weekday and year: a page may be looked at long after it was made."""
    local = when.astimezone(zone)
    day = f"{WEEKDAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]} {local.year}"
    return f"{day} {local:%H:%M} {zone_name(local)}"


def _lifetime(report: Report) -> timedelta:
    """Return how long a report is of use: by then, the source that is saved most often is late."""
    return min((each.max_age for each in report.configured), default=LIFETIME)


def _level(rows: Sequence[Row]) -> str:
    """Return the worst of `ok`, `late` and `failed`. An empty inventory saves nothing, so it is not ok."""
    states = {"ok" if row.well else row.status for row in rows}
    if states == {"ok"}:
        return "ok"
    return "failed" if states - {"ok", "late"} else "late"


def _counts(report: Report) -> str:
    apps = len({row.app for row in report.apps})
    counts = [_plural(apps, "app"), _plural(len(report.apps), "source"), _plural(len(report.storages), "storage")]
    return ", ".join(counts)


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


def _figures(report: Report) -> str:
    fresh = sum(1 for row in report.apps if row.proven and report.generated - row.proven <= FRESH_PROOF)
    held, added = sum(row.size or 0 for row in report.apps), sum(row.stored or 0 for row in report.apps)
    return (
        f"{fresh} of {len(report.apps)} proven by a restore drill within {FRESH_PROOF.days} days, "
        f"{units.size(held)} held by the newest archives, {units.size(added)} added by them"
    )


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
        notes.append(f"{in_words(left)} if nothing were pruned")
    return Space(row, None if share is None else round(100 * share, 1), level, units.size(row.used) + of, tuple(notes))
