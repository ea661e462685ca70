"""`storagebox.usage`: how full a storage is, what uses the space, and when it will be full."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.answers import whole
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.records.growth import daily_growth, days_until_full
from tasks.records.record import Record
from tasks.remote.output import Output
from tasks.remote.script import Script, Words, quote
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storage.base import Storage
from tasks.storage.registry import KINDS, load
from tasks.storage.storagebox import StorageBox
from tasks.storagebox.box import opened
from tasks.storagebox.choose import apps_of, storages
from tasks.units import size


def lines(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of each storage. Raises UsageError, AppError."""
    with Session(load(Path(folder))) as session:
        for name in storages(session.inventory, names, tuple(KINDS)):
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
    yield from _set_aside(session, storage, apps)
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
    """Yield what only the API reports: how much of the space the snapshots use."""
    config = inventory.storages[name]
    if not isinstance(config, StorageBox) or config.token is None:
        return
    with opened(inventory, name) as box:
        stats, kind = box.bound.stats, box.bound.storage_box_type
        assert stats is not None
        assert kind is not None
        yield f"  {kind.description}: data {size(stats.size_data)}, snapshots {size(stats.size_snapshots)}"


def _set_aside(session: Session, storage: Storage, apps: Sequence[App]) -> Iterator[str]:
    """Yield the folders set aside, and how to remove them; published copies have none."""
    for app in apps:
        if storage.published_at(app) is not None:
            continue
        try:
            paths = set_aside.folders(*storage.lock_place(app))
        except CloudbackupError:
            continue
        sizes = _sizes(session, storage, [app], paths)
        for path in paths:
            name = posixpath.basename(path)
            held = size(sizes[path]) if path in sizes else "unknown"
            yield f"  {name}  {held}, set aside: `inv borg.rollback --app {app.name} --remove {name}`"


def _records(storage: Storage, app: App) -> Sequence[Record]:
    try:
        return storage.read_records(app).all
    except CloudbackupError:
        return ()


def _sizes(session: Session, storage: Storage, apps: Sequence[App], paths: Sequence[str] = ()) -> dict[str, int]:
    """Return the size of each app's repository in bytes, as `du` counts it; without those that cannot be read.

    With `paths` beside the repository of one app, return the sizes of these instead.
    """
    found: dict[str, int] = {}
    wanted = [(app, {path: path for path in paths} or {app.name: storage.place(app)}) for app in apps]
    try:
        if storage.account is not None:
            every = {key: path for _, places in wanted for key, path in places.items()}
            return _parsed(storage.account.server.command(_du(every), timeout=300), every) if every else {}
        for app, places in wanted:
            found |= _parsed(session.host(app).run(Script(quote(_du(places))), timeout=300), places)
    except AppError:
        return {}
    return found


def _du(places: Mapping[str, str]) -> Words:
    return ("du", "-sk", *places.values())


def _parsed(output: Output, places: Mapping[str, str]) -> dict[str, int]:
    rows = (line.partition("\t") for line in output.text.splitlines())
    counted = {posixpath.normpath(path): kib * 1024 for blocks, _, path in rows if (kib := whole(blocks)) is not None}
    paths = {key: posixpath.normpath(path) for key, path in places.items()}
    return {key: counted[path] for key, path in paths.items() if path in counted}
