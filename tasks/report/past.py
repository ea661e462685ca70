"""`report.history`: what was done to apps, by whom, and how it went: their records as a table."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks import human
from tasks.errors import CloudbackupError, InterruptedRunError, UsageError
from tasks.inventory import load
from tasks.inventory.models import App
from tasks.report.human import moment
from tasks.report.judge import sound
from tasks.report.table import INDENT, printable
from tasks.storage.ledger import ANNOUNCED
from tasks.storage.loop import PARALLEL, over_apps
from tasks.storage.records import Record, Records
from tasks.storage.session import Session

HEADERS = ("time", "app", "action", "source", "outcome", "took", "size", "added", "archive", "by")


@dataclass(frozen=True)
class Options:
    """Which records: of the named apps (none: all), of one source or action (empty: all), the newest `limit`."""

    apps: Sequence[str] = ()
    source: str = ""
    action: str = ""
    limit: int = 20


def run(folder: str, options: Options) -> int:
    """Print the records, oldest first; return 3 when those of some app could not be read. Raises UsageError."""
    if options.limit < 1:
        raise UsageError(f"--limit {options.limit} shows nothing", "give a number from 1 on")
    with Session(load(Path(folder))) as session:
        apps = session.inventory.select(options.apps)
        read = over_apps(session, apps, PARALLEL, lambda app: _read(session, app, options.limit))
    failed = [each for each in read if isinstance(each, CloudbackupError)]
    found = [record for each in read if isinstance(each, Records) for record in sound(each)]
    for line in lines(chosen(found, options), datetime.now(UTC)):
        print(line)
    for error in failed:
        print(error, file=sys.stderr)
    return 3 if failed else 0


def chosen(records: Sequence[Record], options: Options) -> list[Record]:
    """Return the wanted records, oldest first. What was only announced is left out, unless asked for."""
    wanted = [
        record
        for record in records
        if options.source in ("", record.source)
        and options.action in ("", record.action)
        and (record.action not in ANNOUNCED or options.action == record.action)
    ]
    return sorted(wanted, key=lambda record: record.time)[-options.limit :]


def lines(records: Sequence[Record], now: datetime) -> Iterator[str]:
    """Yield a table's lines, below each record what went wrong or was forced."""
    from tabulate import tabulate

    if not records:
        yield "no records"
        return
    text = tabulate(
        [_cells(record, now) for record in records], headers=HEADERS, tablefmt="plain", disable_numparse=True
    )
    header, *rows = text.splitlines()
    yield header.rstrip()
    for record, row in zip(records, rows, strict=True):
        yield row.rstrip()
        forced = record.details.get("forced")
        notes = [record.error, *(f"forced, although {each}" for each in (forced if isinstance(forced, list) else ()))]
        yield from (INDENT + printable(note) for note in notes if note)


def _cells(record: Record, now: datetime) -> tuple[str, ...]:
    took = record.duration_seconds
    texts = (
        moment(record.time, now),
        record.app,
        record.action,
        record.source or "",
        record.outcome,
        human.clock(took) if took is not None else "",
        human.size(_whole(record.size)),
        human.size(_whole(record.stored)),
        record.archive or "",
        record.operator or "",
    )
    return tuple(printable(str(text)) for text in texts)


def _whole(number: int | None) -> int | None:
    return number if isinstance(number, int) else None


def _read(session: Session, app: App, limit: int) -> Records | CloudbackupError:
    try:
        return session.storage_of(app).read_records(app, newest=limit)
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        return error
