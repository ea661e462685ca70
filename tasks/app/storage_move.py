"""A move of an app's repository to another storage: what is announced, what was begun, and whether one may begin."""

import posixpath
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg import folder as repository_folder
from tasks.borg.announcement import announced
from tasks.borg.client.key_export import escrow_path
from tasks.borg.renewal_announcement import refuse_other_changes
from tasks.errors import CloudbackupError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.records.ledger import TOKEN, ledger
from tasks.records.record import Record
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storage.base import Storage
from tasks.storage.repository_copy import Folder
from tasks.units import size

ACTION = "move-storage"
TO, FROM, KEPT = "to_storage", "from_storage", "kept"  # in the announcement's details
Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Destination:
    """The storage to which an app's repository goes, and `of`, the one that it leaves, if the app has several."""

    app: str
    storage: str
    of: str = ""

    def concerns(self, copy: App) -> bool:
        """Return whether that copy may be meant."""
        return self.of in ("", copy.storage)


@dataclass(frozen=True)
class StorageMove:
    """An app's copy in the old storage, and what it becomes; `kept` is the name of the old repository afterwards."""

    session: Session
    old: App
    new: App
    token: str
    kept: str

    @property
    def storages(self) -> tuple[Storage, Storage]:
        """The old storage and the new one."""
        return self.session.storage_of(self.old), self.session.storage_of(self.new)

    @property
    def folders(self) -> tuple[Folder, Folder]:
        """The repository's folders in both."""
        old, new = self.storages
        return Folder.of(old.files(self.old), old.path(self.old)), Folder.of(new.files(self.new), new.path(self.new))

    @property
    def unfinished(self) -> Folder:
        """The folder of a copy that is not complete."""
        _, new = self.folders
        return Folder(new.files, f"{new.path}.moving-{self.token}")

    @property
    def holder(self) -> str:
        """The name under which borg's lock in the old repository is held."""
        return f"cloudbackup-move-{self.token}.0-0"

    @property
    def memory(self) -> tuple[Path, Path]:
        """The folders of what borg on this machine remembers of both, a key in a file included."""
        place = self.session.inventory.cache / "borg"
        return place / self.old.storage / self.old.name, place / self.new.storage / self.new.name

    @property
    def escrow(self) -> tuple[Path, Path]:
        """The repository's key in escrow, of the old storage and of the new one."""
        folder = self.session.inventory.escrow
        return escrow_path(folder, self.old.storage, self.old.name), escrow_path(
            folder, self.new.storage, self.new.name
        )


def old(app: App, destination: Destination) -> App:
    """Return the copy to move. Raises UsageError."""
    chosen = [copy for copy in app.copies if destination.concerns(copy)]
    if len(chosen) != 1:
        storages = " and ".join(copy.storage for copy in app.copies)
        raise UsageError(f"{app.name} has a repository in {storages}", "say by --from which one moves")
    return chosen[0]


def _moved_to(session: Session, old: App, to: str, token: str, kept: str) -> StorageMove:
    storages = tuple(to if each == old.storage else each for each in old.storages)
    return StorageMove(session, old, old.model_copy(update={"storage": to, "storages": storages}), token, kept)


def _announcements(session: Session, copy: App) -> list[Record]:
    """Return the announcements of such moves that have not ended, as far as they name what ours would."""
    known = ledger(session.storage_of(copy).read_history(copy))
    kept = re.escape(copy.name + set_aside.UNTIL) + r"[0-9T-]{19}"
    begun = [each for each in known.unfinished if each.details.get("of") == ACTION and TOKEN in each.details]
    for each in begun:
        token, name = str(each.details[TOKEN]), str(each.details.get(KEPT))
        places = {each.details.get(TO), each.details.get(FROM)}
        if not (re.fullmatch(r"[0-9a-f]{16}", token) and re.fullmatch(kept, name)) or None in places:
            raise RefusedError(f"{copy.name}: the announcement of a move is not ours", "look at the app's records")
    if not begun:
        refuse_other_changes(copy, known)
    return begun


def begun(session: Session, app: App, destination: Destination) -> StorageMove | None:
    """Return a move that has not reached the app's file. Raises RefusedError for one to another storage."""
    for copy in app.copies:
        for each in _announcements(session, copy) if destination.concerns(copy) else ():
            if each.details[TO] != destination.storage:
                again = f"`inv app.move --app {app.name} --storage {each.details[TO]}` ends that"
                back = f"; `inv app.move --app {app.name} --storage {copy.storage}` takes it back"
                raise RefusedError(
                    f"{app.name}: it is being moved to the storage {each.details[TO]}",
                    again + (back if copy.storage == each.details[FROM] else ""),
                )
            return _moved_to(session, copy, destination.storage, str(each.details[TOKEN]), str(each.details[KEPT]))
    return None


def to_take_back(session: Session, app: App, storage: str) -> StorageMove | None:
    """Return a move away from a storage that the app's file still names. Raises RefusedError."""
    copy = next(each for each in app.copies if each.storage == storage)
    for each in _announcements(session, copy):
        to = str(each.details[TO])
        if each.details[FROM] == storage and to in session.inventory.storages:
            return _moved_to(session, copy, to, str(each.details[TOKEN]), str(each.details[KEPT]))
    return None


def switched(session: Session, name: str, to: str) -> StorageMove | None:
    """Return the move to a storage that the app's file names already."""
    new = session.inventory.copies(name, to)[0]
    for each in _announcements(session, new):
        old = str(each.details[FROM])
        if each.details[TO] == to and old in session.inventory.storages:
            return StorageMove(
                session,
                new.model_copy(update={"storage": old}),
                new,
                str(each.details[TOKEN]),
                str(each.details[KEPT]),
            )
    return None


def new(session: Session, old: App, to: str, ask: Ask) -> StorageMove | None:
    """Announce a new move, if it is possible and agreed to. Raises UsageError, RefusedError, HostError."""
    now = datetime.now(UTC)
    kept = f"{old.name}{set_aside.UNTIL}{now:%Y-%m-%dT%H-%M-%S}"
    move = _moved_to(session, old, to, secrets.token_hex(8), kept)
    _require_movable(move)
    if not ask(
        f"Move the repository of {old.name} from {old.storage} to {to}, and save nothing more in {old.storage}?"
    ):
        return None
    before, after = move.storages
    after.make_directory(move.new)
    _require_room(move)
    details = {TO: to, FROM: old.storage, KEPT: kept}
    before.write_record(old, announced(old.name, ACTION, move.token, **details))
    return move


def _require_movable(move: StorageMove) -> None:
    old, new = move.storages
    for storage, app in ((old, move.old), (new, move.new)):
        if storage.published_at(app) is not None:
            raise RefusedError(
                f"{app.name}: {storage.name}, of kind {storage.kind}, has copies of repositories: they are not moved",
                f"name both in the app's file: `storage: [{new.name}, {old.name}]`; each then has its archives",
            )
    here, there = move.folders
    if not here.files.exists(posixpath.join(here.path, "config")):
        raise UsageError(f"{move.old.name}: there is no repository at {old.url(move.old)}", "change its file by hand")
    rolled = [each for each in set_aside.folders(here.files, here.path) if set_aside.MARK in each]
    if rolled:
        raise RefusedError(
            f"{move.old.name}: {posixpath.basename(rolled[0])}, set aside by a rollback, would stay behind",
            f"`inv borg.rollback --app {move.old.name}` shows how to bring it back or remove it",
        )
    records = new.records_folder(move.new)
    if there.files.exists(there.path) or (there.files.exists(records) and there.files.names(records)):
        raise RefusedError(f"{move.new.name}: the storage {new.name} has a repository or records of that name already")
    if move.escrow[1].exists():
        raise RefusedError(f"{move.new.name}: the escrow folder has a key for the storage {new.name} already")
    repository_folder.refuse_held(move.old, here.files, here.path)
    host = move.session.host(move.new)
    host.facts()  # its key is let in there
    new.refuse_unreachable(host)


def _require_room(move: StorageMove) -> None:
    needed, free = sum(move.folders[0].sizes().values()), None
    with suppress(CloudbackupError):  # a storage that does not tell, or has no directory yet
        free = move.storages[1].usage((move.new,)).free
    if free is not None and free < needed:
        raise RefusedError(
            f"{move.new.name}: its repository takes {size(needed)}, and {move.new.storage} has {size(free)} left",
            "make room there; nothing was changed",
        )
