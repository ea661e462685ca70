"""`storagebox.usage`: how full a storage is, what uses the space, and when it will be full."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from tasks.storagebox.document import as_lines
from tasks.units import size


@dataclass(frozen=True)
class Pool:
    """What only the provider's API reports: how much of the space data and snapshots use."""

    kind: str | None
    data: int | None
    snapshots: int | None


@dataclass(frozen=True)
class Part:
    """The space of an app's repository, and what its backups add a day; None if unknown."""

    app: str
    stored: int | None
    added_per_day: int | None


@dataclass(frozen=True)
class Aside:
    """A folder that was set aside, and its space; None if unknown."""

    app: str
    name: str
    stored: int | None


@dataclass(frozen=True)
class Used:
    """A storage: its space in bytes, what uses it, and the days until it is full; None if unknown."""

    storage: str
    used: int
    size: int | None
    free: int | None
    full_in_days: int | None
    pool: Pool | None
    apps: tuple[Part, ...]
    set_aside: tuple[Aside, ...]


def document(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the JSON of all storages. Raises UsageError, AppError."""
    yield from as_lines({"storages": list(_used(folder, names))})


def lines(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of each storage. Raises UsageError, AppError."""
    for used in _used(folder, names):
        yield from _told(used)


def _used(folder: str, names: Sequence[str]) -> Iterator[Used]:
    with Session(load(Path(folder))) as session:
        for name in storages(session.inventory, names, tuple(KINDS)):
            yield _storage(session, name)


def _told(used: Used) -> Iterator[str]:
    if used.size is None or used.free is None:
        yield f"{used.storage}: {size(used.used)} used"
    else:
        share = 100 * used.used / used.size if used.size else 0
        yield f"{used.storage}: {size(used.used)} of {size(used.size)} used ({share:.0f} %), {size(used.free)} free"
    if used.pool is not None:
        yield f"  {used.pool.kind}: data {size(used.pool.data)}, snapshots {size(used.pool.snapshots)}"
    for each in used.apps:
        growth = f", backups add {size(each.added_per_day)} a day" if each.added_per_day is not None else ""
        yield f"  {each.app}  {size(each.stored) or 'unknown'}{growth}"
    for one in used.set_aside:
        held = size(one.stored) or "unknown"
        yield f"  {one.name}  {held}, set aside: `inv borg.rollback --app {one.app} --remove {one.name}`"
    if used.free is None:
        return
    if used.full_in_days is None:
        yield "  full: unknown, there are no two days of backups yet"
    else:
        yield f"  full in about {used.full_in_days} days if nothing were pruned"


def _storage(session: Session, name: str) -> Used:
    apps, storage = apps_of(session.inventory, name), session.storage(name)
    usage = storage.usage(apps)
    now, sizes = datetime.now(UTC), _sizes(session, storage, apps)
    records = {app.name: _records(storage, app) for app in apps}
    parts = []
    for app in apps:
        growth = daily_growth({(name, source) for name in app.names for source in app.sources}, records[app.name], now)
        parts.append(Part(app.name, sizes.get(app.name), None if growth is None else int(growth)))
    every = {(name, source) for app in apps for name in app.names for source in app.sources}
    growth = daily_growth(every, [each for own in records.values() for each in own], now)
    return Used(
        name,
        usage.used,
        usage.size,
        usage.free,
        None if usage.free is None else days_until_full(usage.free, growth),
        _pool(session.inventory, name),
        tuple(parts),
        tuple(_set_aside(session, storage, apps)),
    )


def _pool(inventory: Inventory, name: str) -> Pool | None:
    """Return what only the API reports; None for another kind of storage, and without a token for the API."""
    config = inventory.storages[name]
    if not isinstance(config, StorageBox) or config.token is None:
        return None
    with opened(inventory, name) as box:
        stats, kind = box.bound.stats, box.bound.storage_box_type
        assert stats is not None
        assert kind is not None
        return Pool(kind.description, stats.size_data, stats.size_snapshots)


def _set_aside(session: Session, storage: Storage, apps: Sequence[App]) -> Iterator[Aside]:
    """Yield the folders set aside; published copies have none."""
    for app in apps:
        if storage.published_at(app) is not None:
            continue
        try:
            paths = set_aside.folders(*storage.lock_place(app))
        except CloudbackupError:
            continue
        sizes = _sizes(session, storage, [app], paths)
        yield from (Aside(app.name, posixpath.basename(path), sizes.get(path)) for path in paths)


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
    measured = [(app, {path: path for path in paths} or {app.name: storage.place(app)}) for app in apps]
    try:
        if storage.account is not None:
            every = {key: path for _, places in measured for key, path in places.items()}
            return _parsed(storage.account.server.command(_du(every), timeout=300), every) if every else {}
        for app, places in measured:
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
