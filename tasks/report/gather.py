"""What storages and repositories say, gathered for the report. Nothing here raises for what could not be learnt."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.borg.key_export import escrow_path
from tasks.borg.list import archives
from tasks.borg.runner import How
from tasks.errors import CloudbackupError, InterruptedRunError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.report.judge import Evidence, judge, sound
from tasks.report.keys import told
from tasks.report.rows import Report, StorageRow, expected
from tasks.storage.loop import over_apps
from tasks.storage.records import Records
from tasks.storage.repository import Side
from tasks.storage.session import Session

PARALLEL = 4  # repositories listed at a time: each is a connection to the storage beside our own
PATIENCE = How(lock_wait=30, timeout=120)


def gather(session: Session, apps: Sequence[App]) -> Report:
    """Return the report on `apps` and the storages that hold them. Raises InterruptedRunError alone."""
    evidence = over_apps(session, apps, PARALLEL, lambda app: _evidence(session, app))
    spaces = tuple(_space(session, name, apps) for name in sorted({app.storage for app in apps}))
    now = datetime.now(UTC)
    judged = (judge(source, each, now) for app, each in zip(apps, evidence, strict=True) for source in expected(app))
    escrowed = _escrowed(session.inventory, apps)
    return Report(
        now,
        tuple(told(judged, escrowed, session.inventory.escrow)),
        spaces,
        wanted=tuple(source for app in apps for source in expected(app)),
        records=tuple(record for each in evidence for record in sound(each.records)),
        escrowed=escrowed,
    )


def _escrowed(inventory: Inventory, apps: Sequence[App]) -> dict[str, bool]:
    """Return which apps' keys lie in the escrow folder; of none where this machine has no such folder."""
    if not inventory.escrow.is_dir():
        return {}
    return {app.name: escrow_path(inventory.escrow, app.storage, app.name).is_file() for app in apps}


def _evidence(session: Session, app: App) -> Evidence:
    listed, listing_error = None, None
    try:
        listed = archives(session.repository(app, Side.OPERATOR), how=PATIENCE).archives
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        listing_error = error.what.removeprefix(f"{app.name}: ")
    records, records_error = _records(session, app)
    return Evidence(listed, records, listing_error, records_error)


def _records(session: Session, app: App) -> tuple[Records | None, str | None]:
    try:
        return session.storage_of(app).read_records(app), None
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        return None, error.what


def _space(session: Session, name: str, apps: Sequence[App]) -> StorageRow:
    kind = session.inventory.storages[name].kind
    try:
        usage = session.storage(name).usage(tuple(app for app in apps if app.storage == name))
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        return StorageRow(name, kind, error=error.what)
    return StorageRow(name, kind, usage.used, usage.size)
