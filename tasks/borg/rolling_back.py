"""`borg.rollback` for one app: shown, asked, done, checked, recorded."""

import os
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.borg import escrow, guard, rollback
from tasks.borg.check import CheckOptions, check
from tasks.borg.examining import refuse_damaged
from tasks.borg.freeing import Target, seen
from tasks.borg.key_export import escrow_path, exported
from tasks.borg.list import archives
from tasks.borg.noting import Note
from tasks.borg.rollback import Point
from tasks.errors import CloudbackupError, RefusedError
from tasks.storage import memory
from tasks.storage.ledger import Ledger, ledger
from tasks.storage.repository import Side

Ask = Callable[[str], bool]
SHOWN = 40  # points


@dataclass(frozen=True)
class Wanted:
    """To which transaction: its number, or the last one before a moment."""

    to: int | None = None
    before: datetime | None = None


def roll_back(target: Target, wanted: Wanted, note: Note, ask: Ask) -> Iterator[str]:
    """Take an app's repository back, and yield what a person should know. Raises UsageError without a wanted point.

    Raises RefusedError when somebody works in the repository, AppError, BorgError, HostError; nothing is lost then.
    """
    note.wanted = False
    name, storage = target.app.name, target.session.storage_of(target.app)
    if target.repository.publication is not None:
        raise RefusedError(
            f"{name}: a storage of kind {storage.kind} has no rollback: its repositories are copies",
            "bring an older state back by the versions that the storage keeps, where it keeps any",
        )
    files, folder = storage.lock_place(target.app)
    records = storage.read_history(target.app)
    known = ledger(records)
    found = rollback.points(rollback.transactions(files, folder), records)
    if wanted.to is None and wanted.before is None:
        yield from (_line(point) for point in found[-SHOWN:])
    point = rollback.choose(found, name, wanted.to, wanted.before)
    yield from _foretold(target, point, known)
    if not ask(f"Take the repository of {name} back to transaction {point.transaction}?"):
        yield f"{name}: nothing was changed"
        return
    note.wanted = True
    aside = f"{folder}.before-rollback-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    with rollback.locked(files, folder, f"cloudbackup-rollback.{os.getpid()}-0"):
        moved = rollback.move_aside(files, folder, point.transaction, aside)
    yield f"{name}: {len(moved)} segments moved to {aside}; remove it when you need it no more"
    identity = memory.repository_id(files.read(posixpath.join(folder, "config")))
    yield from _forgotten(target, identity)
    yield from _key(target, identity)
    refuse_damaged(target.app, check(target.repository, CheckOptions(), target.how))
    note.add(_details(target, point, known))
    yield f"{name}: is as it was, and whole; change the passphrase and the host's key if the host was not yours"


def _line(point: Point) -> str:
    return f"  {point.transaction:>6}  {point.time:%Y-%m-%d %H:%M:%S} UTC  {point.what}"


def _foretold(target: Target, point: Point, known: Ledger) -> Iterator[str]:
    """Yield which archives will disappear and which will come back, as far as the records tell."""
    name = target.app.name
    yield f"{name}: back to transaction {point.transaction}, of {point.time:%Y-%m-%d %H:%M:%S} UTC"
    try:
        now = {each.id: each.name for each in archives(target.repository, how=target.how).archives}
    except CloudbackupError as error:
        yield f"{name}: now nothing can be listed: {error.what.removeprefix(f'{name}: ')}"
        now = {}
    if point.archive_ids is None:
        yield f"{name}: which archives that changes is not recorded; nothing is deleted"
        return
    yield from (f"  goes: {each}" for key, each in now.items() if key not in point.archive_ids)
    back = [key for key in point.archive_ids if key not in now]
    yield from (f"  comes back: {known.made.get(key) or key[:12]}" for key in back)


def _forgotten(target: Target, identity: str) -> Iterator[str]:
    """Let both sides forget the newer state. A host that cannot be reached is told of."""
    memory.forget(target.repository, identity)
    try:
        host = target.session.repository(target.app, Side.HOST)
        done = memory.forget(host, identity)
    except CloudbackupError:
        done = False
    if not done:
        yield (
            f"{target.app.name}: {target.app.host} could not be reached: before its next backup remove there "
            f"~/.cache/borg/{identity} and ~/.config/borg/security/{identity}/manifest-timestamp"
        )


def _key(target: Target, identity: str) -> Iterator[str]:
    """Bring the key back from escrow where the repository's is another one."""
    name, folder = target.app.name, target.session.inventory.escrow
    path = escrow_path(folder, target.repository.storage, name)
    if fault := escrow.fault(folder, target.repository.storage, name, identity, None):
        yield f"{name}: the key in the repository stays: {fault}"
        return
    kept = path.read_bytes()
    try:
        same = exported(target.repository, how=target.how) == kept
    except CloudbackupError:
        same = False
    if not same:
        rollback.key_import(target.repository, kept, target.how)
        yield f"{name}: the key is again the one in {path}"


def _details(target: Target, point: Point, known: Ledger) -> dict[str, object]:
    """Return the record's details: what is there and ours should be there, what is not any more was taken back."""
    found = guard.look(target.session, target.app, target.repository, target.how, patience=0)
    there = [archive.id for archive in found.listing.archives]
    ours = rollback.known_after(there, known)
    return seen(found) | {
        "to": point.transaction,
        "known_ids": ours,
        "proven_ids": [each for each in ours if each in known.proven],
        "removed_ids": sorted(known.expected - set(there)),
        "recount": True,
    }
