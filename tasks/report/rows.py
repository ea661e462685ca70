"""The report's content: always one row per app and configured source, and one per storage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.sources.kinds import logs_of

Status = Literal["failed", "missing", "incomplete", "suspect", "late", "unknown", "paused", "ok"]
WORST_FIRST: tuple[Status, ...] = get_args(Status)
WELL: frozenset[Status] = frozenset({"ok", "paused"})  # nobody has to look at it


@dataclass(frozen=True)
class Expected:
    """A configured source of an app; its newest archive is late if it is older than `max_age`.

    `logs` is the source of logs: this source itself, or the one that continues it, so that it can be recovered to any
    moment. Until the day `paused`, in this machine's zone, there are no runs and no alarm.
    """

    app: str
    host: str
    storage: str
    source: str
    max_age: timedelta
    logs: str | None = None
    paused: date | None = None
    formerly: tuple[str, ...] = ()  # names that the app had


@dataclass(frozen=True)
class LeftOut:
    """What the newest archive lacks of the inventory's paths: how many, and the first of them as `path: reason`."""

    count: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """Who accepted the newest archive despite its verdict, when (UTC), and why."""

    by: str | None
    time: datetime
    reason: str


@dataclass(frozen=True)
class Row:
    """What is known of one source of one app; None if unknown or never.

    `archive` is the newest archive and `last` the time it began; `size` is what it holds and `stored` what it added to
    the repository, in bytes. `archives` counts the source's complete archives. `proven` is the time of the last
    successful restore drill. `recoverable_until` is for databases with archived binary logs. `error` is one line.
    `last_good` is the time at which the newest good archive began; `incomplete`, `suspect` and `verdict_accepted` are
    the newest archive's verdict (tasks/records/verdict.py). `read_share` is the part of the files that drills read
    within 90 days, 0 to 1. `other_archives` counts the archives in the app's repository that are of none of its sources
    and that are known or accepted; it is the same in each row of a repository. `paused` is the day, as 2026-12-24,
    until which the app is paused. The fields have the names of those in the JSON report.
    """

    app: str
    host: str
    storage: str
    source: str
    status: Status
    archive: str | None = None
    last: datetime | None = None
    age_seconds: int | None = None
    archives: int | None = None
    size: int | None = None
    stored: int | None = None
    duration_seconds: float | None = None
    proven: datetime | None = None
    recoverable_until: datetime | None = None
    error: str | None = None
    last_good: datetime | None = None
    incomplete: LeftOut | None = None
    suspect: str | None = None
    verdict_accepted: Acceptance | None = None
    read_share: float | None = None
    other_archives: int | None = None
    paused: str | None = None

    @property
    def well(self) -> bool:
        """Whether nobody has to look at it: it is ok, or paused."""
        return self.status in WELL


@dataclass(frozen=True)
class StorageRow:
    """The space of one storage in bytes; None if unknown. `error` is why, or another remark about it."""

    storage: str
    kind: str
    used: int | None = None
    size: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Listed:
    """An archive of a source: when it began, the status that its verdict gives it, and whether a drill proved it."""

    name: str
    start: datetime
    status: Status
    proven: bool = False


@dataclass(frozen=True)
class Holdings:
    """What a repository has of an app's sources but logs: its newest archives, the newest first, of `count`.

    From `since` on, every moment up to the rows' `recoverable_until` can be recovered; None without logs.
    """

    newest: tuple[Listed, ...] = ()
    count: int = 0
    since: datetime | None = None


def nothing_held(_storage: str, _app: str) -> Holdings:
    """Return no holdings, for a report that was not gathered."""
    return Holdings()


@dataclass(frozen=True)
class Report:
    """The whole report, as of the moment `generated`.

    Besides the rows it holds what some formats show: the sources in the inventory; by storage and app, the records of
    each repository (oldest first), and whether the escrow folder holds a good copy of its key (empty on a machine
    without that folder). `growth` is what backups add to a storage in bytes a day, if known; `holdings` tells what the
    repository of a storage and an app holds.
    """

    generated: datetime
    apps: tuple[Row, ...]
    storages: tuple[StorageRow, ...] = ()
    configured: tuple[Expected, ...] = ()
    records: Mapping[tuple[str, str], Sequence[Record]] = field(default_factory=dict)
    escrowed: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    growth: Mapping[str, float] = field(default_factory=dict)
    holdings: Callable[[str, str], Holdings] = nothing_held

    @property
    def worst_first(self) -> tuple[Row, ...]:
        """The rows for people: problems first, otherwise in the order of the inventory."""
        return tuple(sorted(self.apps, key=lambda row: WORST_FIRST.index(row.status)))

    @property
    def with_copies(self) -> bool:
        """Whether an app has several storages, so that rows name theirs."""
        return len({(row.app, row.source) for row in self.apps}) < len(self.apps)


def expected(app: App) -> tuple[Expected, ...]:
    """Return the rows to expect of an app, in the order of its sources."""
    return tuple(
        Expected(
            app.name, app.host, app.storage, source, app.max_age, logs_of(source, app.sources), app.paused, app.formerly
        )
        for source in app.sources
    )


def verdict(report: Report) -> str:
    """Summarize the report in one sentence."""
    count, bad = len(report.apps), sum(1 for row in report.apps if not row.well)
    if not count:
        # `report --unproven` leaves out what is proven: the apps are there.
        return "All that was asked about is proven" if report.configured else "No app is configured"
    paused = sum(1 for row in report.apps if row.status == "paused")
    if not bad and paused:
        return f"Every backup is there, apart from {paused} that {'is' if paused == 1 else 'are'} paused"
    if not bad:
        return "Every backup is there" if count > 1 else "The backup is there"
    return f"{bad} of {count} need{'s' if bad == 1 else ''} a look"


def exit_code(report: Report, *, strict: bool) -> int:
    """Return 3 if `strict` and any source is not ok, else 0: a report that shows a problem has succeeded."""
    return 3 if strict and any(not row.well for row in report.apps) else 0
