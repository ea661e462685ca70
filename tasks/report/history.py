"""`report.history`: a table of the apps' records: what was done, by whom, and the outcome."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks import units
from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.json_output import written
from tasks.records.ledger import ANNOUNCED
from tasks.records.record import Record
from tasks.records.verdict import ACCEPT, Accepted
from tasks.report.judge import sound
from tasks.report.table import INDENT, printable
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.times import moment

HEADERS = ("time", "app", "action", "source", "outcome", "took", "size", "added", "archive", "by")

OF_RUN = ("app", "action", "source", "outcome", "time", "duration_seconds")
FIELDS = (*OF_RUN, "size", "stored", "archive", "archive_id", "operator", "error")


@dataclass(frozen=True)
class Options:
    """The newest `limit` records of the named apps (none: all), of one storage, source or action (empty: all)."""

    apps: Sequence[str] = ()
    storage: str = ""
    source: str = ""
    action: str = ""
    limit: int = 20
    as_json: bool = False


@dataclass(frozen=True)
class Entry:
    """A record with the label of the app's copy that it belongs to, and its storage, which a record does not name.

    `app` is the app's name, where the record may have a former one; empty for that of the record.
    """

    label: str
    record: Record
    storage: str = ""
    app: str = ""


def run(folder: str, options: Options) -> int:
    """Print the records, oldest first; return 3 if an app's records could not be read. Raises UsageError."""
    if options.limit < 1:
        raise UsageError(f"--limit {options.limit} shows nothing", "give a number from 1 on")
    with Session(load(Path(folder))) as session:
        apps = [app for app in session.inventory.select(options.apps) if options.storage in ("", app.storage)]
        if not apps:
            known = nearest(options.storage, {app.storage for app in session.inventory.select(options.apps)})
            raise UsageError(f"none of these apps is in the storage `{options.storage}`{known}")
        read = over_apps(
            session, apps, PARALLEL, lambda app: _read(session, app, options.limit), lambda _, error: error
        )
    failed = [each for each in read if isinstance(each, CloudbackupError)]
    found = [entry for each in read if not isinstance(each, CloudbackupError) for entry in each]
    if options.as_json:
        print(written({"records": [as_values(entry) for entry in chosen(found, options)]}))
    else:
        for line in lines(chosen(found, options), datetime.now(UTC)):
            print(line)
    for error in failed:
        print(error, file=sys.stderr)
    return 3 if failed else 0


def chosen(records: Sequence[Entry], options: Options) -> list[Entry]:
    """Return the selected records, oldest first. Mere announcements are left out unless `action` asks for them."""
    matching = [
        entry
        for entry in records
        if options.source in ("", entry.record.source)
        and options.action in ("", entry.record.action)
        and (entry.record.action not in ANNOUNCED or options.action == entry.record.action)
    ]
    return sorted(matching, key=lambda entry: entry.record.time)[-options.limit :]


def lines(records: Sequence[Entry], now: datetime) -> Iterator[str]:
    """Yield the lines of a table; below each record its error, what was forced, or why it was accepted."""
    from tabulate import tabulate

    if not records:
        yield "no records"
        return
    text = tabulate([_cells(entry, now) for entry in records], headers=HEADERS, tablefmt="plain", disable_numparse=True)
    header, *rows = text.splitlines()
    yield header.rstrip()
    for entry, row in zip(records, rows, strict=True):
        yield row.rstrip()
        record, forced = entry.record, entry.record.details.get("forced")
        notes = [record.error, *(f"forced, although {each}" for each in (forced if isinstance(forced, list) else ()))]
        notes += [f"because: {Accepted(record).reason}"] if record.action == ACCEPT else []
        walls = record.details.get("walls")
        if isinstance(walls, list):
            notes.append(f"behind walls: {', '.join(map(str, walls))}" if walls else "without walls")
        share = record.details.get("read_share")
        if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1:
            notes.append(f"{units.percent(share)} of all files read within 90 days")
        yield from (INDENT + printable(note) for note in notes if note)


def as_values(entry: Entry) -> dict[str, object]:
    """Return a record as JSON has it; `tasks.records.record.Record` explains the fields."""
    record = entry.record
    reason = Accepted(record).reason if record.action == ACCEPT else None
    fields = {name: getattr(record, name) for name in FIELDS}
    fields["app"] = entry.app or record.app
    return {"storage": entry.storage, **fields, "made_by": record.tool, "reason": reason}


def _cells(entry: Entry, now: datetime) -> tuple[str, ...]:
    record = entry.record
    took = record.duration_seconds
    texts = (
        moment(record.time, now),
        entry.label,
        record.action,
        record.source or "",
        record.outcome,
        units.clock(took) if took is not None else "",
        units.size(_whole(record.size)),
        units.size(_whole(record.stored)),
        record.archive or "",
        record.operator or "",
    )
    return tuple(printable(str(text)) for text in texts)


def _whole(number: int | None) -> int | None:
    return number if isinstance(number, int) else None


def _read(session: Session, app: App, limit: int) -> list[Entry] | CloudbackupError:
    try:
        records = sound(session.storage_of(app).read_records(app, newest=limit))
        return [Entry(app.label, record, app.storage, app.name) for record in records]
    except CloudbackupError as error:
        return error
