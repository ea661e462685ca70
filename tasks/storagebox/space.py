"""`storagebox.usage`: how full a storage is, what fills it, and when there will be no room left."""

import posixpath
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.answers import whole
from tasks.errors import AppError, CloudbackupError
from tasks.human import size
from tasks.inventory import load
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.inventory.storages import StorageBox
from tasks.remote.output import Output
from tasks.remote.script import Script, Words, quote
from tasks.storage.base import Storage
from tasks.storage.growth import daily_growth, days_until_full
from tasks.storage.records import Record
from tasks.storage.session import Session
from tasks.storage.ssh import SshServer
from tasks.storagebox.box import opened
from tasks.storagebox.select import apps_of, storages

KINDS = ("storagebox", "ssh", "local", "s3", "sftp")


def lines(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of each storage. Raises UsageError, AppError."""
    with Session(load(Path(folder))) as session:
        for name in storages(session.inventory, names, KINDS):
            yield from _storage(session, name)


def _storage(session: Session, name: str) -> Iterator[str]:
    apps, storage = apps_of(session.inventory, name), session.storage(name)
    usage = storage.usage(apps)
    if usage.size is None or usage.free is None:
        yield f"{name}: {size(usage.used)} used"
    else:
        share = 100 * usage.used / usage.size if usage.size else 0
        yield f"{name}: {size(usage.used)} of {size(usage.size)} used ({share:.0f} %), {size(usage.free)} free"
    yield from _pool(session.inventory, name)
    now, sizes = datetime.now(UTC), _sizes(session, storage, apps)
    records = {app.name: _records(storage, app) for app in apps}
    for app in apps:
        growth = daily_growth({(app.name, source) for source in app.sources}, records[app.name], now)
        stored = size(sizes[app.name]) if app.name in sizes else "unknown"
        yield f"  {app.name}  {stored}" + (f", backups add {size(int(growth))} a day" if growth is not None else "")
    if usage.free is None:
        return
    every = {(app.name, source) for app in apps for source in app.sources}
    days = days_until_full(usage.free, daily_growth(every, [each for own in records.values() for each in own], now))
    yield (
        f"  full in about {days} days if nothing were pruned"
        if days is not None
        else ("  full: unknown, there are no two days of backups yet")
    )


def _pool(inventory: Inventory, name: str) -> Iterator[str]:
    """Yield what only the API tells: how much of the space snapshots hold."""
    config = inventory.storages[name]
    if not isinstance(config, StorageBox) or config.token is None:
        return
    with opened(inventory, name) as box:
        stats, kind = box.bound.stats, box.bound.storage_box_type
        assert stats is not None
        assert kind is not None
        yield f"  {kind.description}: data {size(stats.size_data)}, snapshots {size(stats.size_snapshots)}"


def _records(storage: Storage, app: App) -> Sequence[Record]:
    try:
        return storage.read_records(app).all
    except CloudbackupError:
        return ()


def _sizes(session: Session, storage: Storage, apps: Sequence[App]) -> dict[str, int]:
    """Return the bytes of each app's repository, as `du` counts them; without those that cannot be learnt."""
    if not apps:
        return {}
    try:
        if isinstance(storage, SshServer):
            return _parsed(storage.server.command(_du(storage, apps), timeout=300), storage, apps)
        found: dict[str, int] = {}
        for app in apps:
            found |= _parsed(session.host(app).run(Script(quote(_du(storage, [app]))), timeout=300), storage, [app])
    except AppError:
        return {}
    return found


def _du(storage: Storage, apps: Sequence[App]) -> Words:
    return ("du", "-sk", *(storage.place(app) for app in apps))


def _parsed(output: Output, storage: Storage, apps: Sequence[App]) -> dict[str, int]:
    rows = (line.partition("\t") for line in output.text.splitlines())
    counted = {posixpath.normpath(path): kib * 1024 for blocks, _, path in rows if (kib := whole(blocks)) is not None}
    paths = {app.name: posixpath.normpath(storage.place(app)) for app in apps}
    return {app: counted[path] for app, path in paths.items() if path in counted}
