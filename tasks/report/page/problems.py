"""The list of what needs a look: sources of one app that have the same fault share an entry."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tasks.report.page.signs import SIGNS
from tasks.report.rows import Row
from tasks.times import age, ago


@dataclass(frozen=True)
class Problem:
    """What is wrong with some sources of an app. `place` is where, `since` what is there nevertheless."""

    status: str
    sign: str
    app: str
    sources: str
    error: str
    place: str
    since: str


def problems(rows: Iterable[Row], now: datetime) -> tuple[Problem, ...]:
    """Return one entry for all sources of an app in a storage that have the same status and error, in their order."""
    groups: dict[tuple[str, str, str, str | None], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.app, row.storage, row.status, row.error), []).append(row)
    return tuple(_problem(group, now) for group in groups.values())


def _problem(rows: list[Row], now: datetime) -> Problem:
    first = rows[0]
    oldest = min(rows, key=lambda row: row.last or now)
    return Problem(
        status=first.status,
        sign=SIGNS[first.status],
        app=first.app,
        sources=" + ".join(row.source for row in rows),
        error=first.error or "",
        place=f"{first.host} → {first.storage}",
        since=_since(oldest, now),
    )


def _since(row: Row, now: datetime) -> str:
    if row.last is None:
        return "never saved" if row.status == "missing" else "its archives are unknown"
    saved = f"last saved {age(row.age_seconds or 0)} ago"
    return f"{saved}, last good one {ago(row.last_good, now)}" if row.last_good and row.last_good != row.last else saved
