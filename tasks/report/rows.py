"""The report's content: one row for each app and configured source, always, and one for each storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.sources.kinds import logs_of

Status = Literal["failed", "missing", "incomplete", "suspect", "late", "unknown", "ok"]
WORST_FIRST: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Expected:
    """What should be there: a source of an app, whose newest archive is late when it is older than `max_age`.

    `logs` is the app's source of logs: it itself, or what continues it, so that it can be brought to any moment.
    """

    app: str
    host: str
    storage: str
    source: str
    max_age: timedelta
    logs: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """What the inventory names and the newest archive lacks: how many, and the first of them as `path: reason`."""

    count: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """Who took the newest archive as right in spite of its verdict, when (UTC) and why."""

    by: str | None
    time: datetime
    reason: str


@dataclass(frozen=True)
class Row:
    """What is known of one source of one app; None is what could not be learnt, or what never was.

    `archive` is the newest archive and `last` when it began; `size` what it holds and `stored` what it added to the
    repository, in bytes. `archives` counts the source's whole archives. `proven` is when a restore drill last
    succeeded. `recoverable_until` is for databases whose binary logs are archived. `error` is one line. `last_good` is
    when the newest good archive began; `incomplete`, `suspect` and `verdict_accepted` are the newest archive's verdict
    (tasks/records/verdict.py). `read_share` is which part of the files drills read in 90 days, 0 to 1. The fields are
    those of the JSON report, by their names.
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


@dataclass(frozen=True)
class StorageRow:
    """The space of one storage in bytes; None and `error` when it could not be learnt, or another remark on it."""

    storage: str
    kind: str
    used: int | None = None
    size: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Report:
    """All of it, as of the moment `generated`.

    Beside the rows stands what some formats show: what the inventory wants; by storage and app the records of each
    repository (oldest first), and whether the escrow folder holds a good copy of its key, none on a machine without it.
    `growth` is how many bytes a day the backups add to a storage, where they tell.
    """

    generated: datetime
    apps: tuple[Row, ...]
    storages: tuple[StorageRow, ...] = ()
    wanted: tuple[Expected, ...] = ()
    records: Mapping[tuple[str, str], Sequence[Record]] = field(default_factory=dict)
    escrowed: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    growth: Mapping[str, float] = field(default_factory=dict)

    @property
    def worst_first(self) -> tuple[Row, ...]:
        """The rows as a person reads them: those that need a look first, otherwise as in the inventory."""
        return tuple(sorted(self.apps, key=lambda row: WORST_FIRST.index(row.status)))

    @property
    def with_copies(self) -> bool:
        """Whether some app has several storages, so that a row says which one it is about."""
        return len({(row.app, row.source) for row in self.apps}) < len(self.apps)


def expected(app: App) -> tuple[Expected, ...]:
    """Return what should be there of an app, in the order of its sources."""
    return tuple(
        Expected(app.name, app.host, app.storage, source, app.max_age, logs_of(source, app.sources))
        for source in app.sources
    )


def verdict(report: Report) -> str:
    """Return the whole report in one sentence."""
    count, bad = len(report.apps), sum(1 for row in report.apps if row.status != "ok")
    if not count:
        return "No app is configured"
    if not bad:
        return "Every backup is there" if count > 1 else "The backup is there"
    return f"{bad} of {count} need{'s' if bad == 1 else ''} a look"


def exit_code(report: Report, *, strict: bool) -> int:
    """Return 3 when `strict` and any source is not ok, else 0: a report that says what is wrong is a good report."""
    return 3 if strict and any(row.status != "ok" for row in report.apps) else 0
