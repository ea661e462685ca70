"""The list of apps: one line each, and what opens below it: sources, commands, charts and the last runs."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tasks import units
from tasks.records.record import UNCHANGED, Record
from tasks.report.page.period import day_of
from tasks.report.page.run_calendar import Calendar, calendar
from tasks.report.page.signs import SIGNS
from tasks.report.page.sizes import Chart, charts
from tasks.report.rows import WORST_FIRST, Holdings, Listed, Report, Row, Status
from tasks.sources.kinds import READ_BY_BORG, kind_of
from tasks.times import age, ago, moment

RUNS = 12  # shown for each repository
HISTORY = timedelta(days=400)
CLOCKS_DIFFER = timedelta(days=1)


@dataclass(frozen=True)
class Cell:
    """A text below the heading `name`; `kind` is `num` if it is right-aligned."""

    name: str
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Source:
    """A source of an app in one storage; `label` names it if there are several. `age` is of the newest archive."""

    label: str
    status: Status
    sign: str
    age: str
    cells: tuple[Cell, ...]
    error: str


@dataclass(frozen=True)
class Run:
    """One run of an action: its texts, and its outcome for the colour."""

    time: str
    action: str
    outcome: str
    took: str
    size: str
    added: str
    text: str


@dataclass(frozen=True)
class Archive:
    """One archive: its name, when it was made, and its status."""

    name: str
    time: str
    status: Status
    sign: str
    proven: bool


@dataclass(frozen=True)
class Repository:
    """The history of an app's repository in one storage, newest run first."""

    storage: str
    charts: tuple[Chart, ...]
    calendar: Calendar
    runs: tuple[Run, ...]
    archives: tuple[Archive, ...]
    older: int  # archives that are not named
    window: str  # the moments to which a database can be brought; empty without logs


@dataclass(frozen=True)
class App:
    """One app. `status` is the worst of its sources'; the list is sorted by `keys`, and a search looks into `words`."""

    name: str
    hosts: str
    status: Status
    sign: str
    statuses: str
    sources: tuple[Source, ...]
    age: str
    size: str
    added: str
    proven: str
    keys: Mapping[str, str]
    words: str
    commands: tuple[tuple[str, str], ...]
    repositories: tuple[Repository, ...]


def apps(report: Report, zone: tzinfo | None) -> tuple[App, ...]:
    """Return all apps, the worst first, otherwise in the order of the inventory."""
    rows: dict[str, list[Row]] = {}
    for row in report.apps:
        rows.setdefault(row.app, []).append(row)
    listed = [_app(name, own, report, zone) for name, own in rows.items()]
    return tuple(sorted(listed, key=lambda each: WORST_FIRST.index(each.status)))


def _app(name: str, rows: Sequence[Row], report: Report, zone: tzinfo | None) -> App:
    now = report.generated
    worst: Status = min((row.status for row in rows), key=WORST_FIRST.index)
    copies = len({row.storage for row in rows}) > 1
    last, proven = _oldest([row.last for row in rows]), _oldest([row.proven for row in rows])
    size, added = _sum([row.size for row in rows]), _sum([row.stored for row in rows])
    hosts = ", ".join(dict.fromkeys(row.host for row in rows))
    return App(
        name=name,
        hosts=hosts,
        status=worst,
        sign=SIGNS[worst],
        statuses=" ".join(dict.fromkeys(row.status for row in rows)),
        sources=tuple(_source(row, now, zone, copies=copies) for row in rows),
        age=_age(last, now),
        size=units.size(size),
        added=units.size(added),
        proven=ago(proven, now),
        keys={
            "app": name,
            "age": _time_key(last),
            "size": _key(size),
            "added": _key(added),
            "proven": _time_key(proven),
        },
        words=" ".join(
            word for row in rows for word in (row.app, row.source, row.status, row.host, row.storage, row.error or "")
        ).lower(),
        commands=_commands(name, rows),
        repositories=_repositories(name, rows, report, zone),
    )


def _oldest(times: Sequence[datetime | None]) -> datetime | None:
    """Return the earliest time; None if one is unknown."""
    known = [time for time in times if time is not None]
    return min(known) if len(known) == len(times) else None


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _age(when: datetime | None, now: datetime) -> str:
    return "" if when is None else age((now - when).total_seconds())


def _key(value: float | None) -> str:
    return "" if value is None else str(value)


def _time_key(when: datetime | None) -> str:
    return "" if when is None else str(int(when.timestamp()))


def _source(row: Row, now: datetime, zone: tzinfo | None, *, copies: bool) -> Source:
    cells = [
        Cell("last saved", moment(row.last, now, zone) if row.last else "never" if row.status == "missing" else ""),
        Cell("archives", "" if row.archives is None else str(row.archives), "num"),
        Cell("size", units.size(row.size), "num"),
        Cell("added", units.size(row.stored), "num"),
        Cell("took", "" if row.duration_seconds is None else age(row.duration_seconds), "num"),
        Cell("proven", "" if row.status == "unknown" and row.proven is None else ago(row.proven, now)),
    ]
    if row.recoverable_until:
        cells.append(Cell("recoverable until", moment(row.recoverable_until, now, zone)))
    return Source(
        label=f"{row.source} on {row.storage}" if copies else row.source,
        status=row.status,
        sign=SIGNS[row.status],
        age=_age(row.last, now),
        cells=tuple(cells),
        error=row.error or "",
    )


def _commands(name: str, rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return what a person who opens an app's entry usually wants, each with its command."""
    app = f"--app {shlex.quote(name)}"
    moments = any(row.recoverable_until for row in rows)
    return (
        ("bring it back, what is there is kept", f"inv restore {app}"),
        *([("its database as it was at a moment", f"inv restore {app} --at 'YYYY-MM-DD HH:MM'")] if moments else []),
        *(_commands_of_files(app) if any(row.source == READ_BY_BORG.name for row in rows) else ()),
        *(_commands_of_tables(app) if any(kind_of(row.source).tables for row in rows) else ()),
        ("prove its newest archives", f"inv verify {app}"),
        ("list its archives", f"inv borg.list {app}"),
        ("all its runs", f"inv report.history {app}"),
        ("save it now", f"inv backup {app}"),
    )


def _commands_of_tables(app: str) -> tuple[tuple[str, str], ...]:
    return (
        ("put rows of a table back that are gone", f"inv restore {app} --table DATABASE.TABLE --missing-rows"),
        ("ask a backup by SQL", f"inv mariadb.open {app}"),
    )


def _commands_of_files(app: str) -> tuple[tuple[str, str], ...]:
    return (
        ("one file or folder as it was yesterday", f"inv restore {app} --path PATH --archive yesterday"),
        ("in which archives a file is", f"inv find NAME {app}"),
        ("what its last backup changed", f"inv borg.diff {app}"),
    )


def _repositories(name: str, rows: Sequence[Row], report: Report, zone: tzinfo | None) -> tuple[Repository, ...]:
    today = day_of(report.generated, zone)
    found = []
    for storage in dict.fromkeys(row.storage for row in rows):
        # A forged date would stretch every chart.
        earliest, latest = report.generated - HISTORY, report.generated + CLOCKS_DIFFER
        past = [each for each in report.records.get((storage, name), ()) if earliest < each.time < latest]
        sources = [row.source for row in rows if row.storage == storage]
        drawn, days = charts(past, today, zone), calendar(past, sources, today, zone)
        runs, held = _runs(past, report.generated, zone), report.holdings(storage, name)
        named = tuple(_archive(each, report.generated, zone) for each in held.newest)
        window = _window(held, [row for row in rows if row.storage == storage], report.generated, zone)
        found.append(Repository(storage, drawn, days, runs, named, held.count - len(named), window))
    return tuple(found)


def _archive(listed: Listed, now: datetime, zone: tzinfo | None) -> Archive:
    time = moment(listed.start, now, zone)
    return Archive(listed.name, time, listed.status, SIGNS[listed.status], listed.proven)


def _window(held: Holdings, rows: Sequence[Row], now: datetime, zone: tzinfo | None) -> str:
    until = max((row.recoverable_until for row in rows if row.recoverable_until), default=None)
    if held.since is None or until is None:
        return ""
    return f"{moment(held.since, now, zone)} to {moment(until, now, zone)}"


def _runs(records: Sequence[Record], now: datetime, zone: tzinfo | None) -> tuple[Run, ...]:
    newest = sorted((each for each in records if each.action != UNCHANGED), key=lambda each: each.time)[-RUNS:]
    return tuple(_run(record, now, zone) for record in reversed(newest))


def _run(record: Record, now: datetime, zone: tzinfo | None) -> Run:
    return Run(
        time=moment(record.time, now, zone),
        action=f"{record.action} {record.source or ''}".rstrip(),
        outcome=record.outcome,
        took="" if record.duration_seconds is None else age(record.duration_seconds),
        size=units.size(record.size),
        added=units.size(record.stored),
        text=record.error or record.archive or "",
    )
