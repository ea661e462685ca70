"""`app.move --storage`: an app's repository goes to another storage, with its archives, records, keys and escrow copy.

borg 1 has no command for that (`borg transfer` is borg 2's), so the repository is copied byte by byte, while borg's own
lock is held in the old place: nobody can add to it, and the copy becomes the repository in one step, with the app's
file. Before that step it is checked by borg and read from both sides; after it, the old repository is set aside, as
borg.renew does, until `borg.rollback --remove` deletes it. If it is killed midway, report and `app.check` show that,
and the same command ends it; before that step, the old storage's name takes it back.
"""

import posixpath
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.app import storage_move
from tasks.app.storage_move import ACTION, FROM, KEPT, TO, Ask, Destination, StorageMove
from tasks.borg import folder as repository_folder
from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.list import archives
from tasks.borg.client.runner import UNLIMITED
from tasks.borg.confirm_address import CONFIRMING
from tasks.borg.recorder import noted
from tasks.errors import AppError, CloudbackupError, RefusedError, UsageError
from tasks.files import write_whole
from tasks.inventory.edited import with_key
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.records.ledger import ENDS
from tasks.remote.files import FilesError
from tasks.run.client_cache import repository_id
from tasks.run.session import Session
from tasks.storage import repository_copy, set_aside
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.install import install_app_key, remove_app_keys
from tasks.units import size

STEP = 1 << 30  # bytes between two messages
Say = Callable[[str], None]


def run(folder: str, destination: Destination, ask: Ask, say: Say) -> None:
    """Move an app's repository to another storage; or end, or take back, such a move.

    Raises UsageError, RefusedError before anything is changed; AppError, HostError midway: run again, it goes on.
    """
    place, name, to = Path(folder), destination.app, destination.storage
    with Session(load(place)) as session:
        app = session.inventory.app(name)
        if to not in session.inventory.storages:
            raise UsageError(f"the inventory has no storage `{to[:80]}`{nearest(to, session.inventory.storages)}")
        if to not in [copy.storage for copy in app.copies]:
            move = storage_move.begun(session, app, destination)
            move = move or storage_move.new(session, storage_move.old(app, destination), to, ask)
            if move is None:
                say(f"{name}: nothing was changed")
                return
            _copied(move, say)
            _switch(place / "apps" / f"{name}.yml", app, move, say)
        elif back := storage_move.to_take_back(session, app, to):
            _taken_back(back, say)
            return
    with Session(load(place)) as session:
        move = storage_move.switched(session, name, to)
        if move is None:
            raise UsageError(f"{name} is in {to} already", "name another storage")
        _ended(move, say)


def _copied(move: StorageMove, say: Say) -> None:
    """Do everything that comes before the app's file names the new storage."""
    (here, there), unfinished = move.folders, move.unfinished
    repository_folder.hold(move.old, here.files, here.path, move.holder)
    if not there.files.exists(there.path):
        reported = 0

        def tell(done: int, of: int) -> None:
            nonlocal reported
            if done // STEP > reported or done == of:
                reported = done // STEP
                say(f"{move.old.name}: {size(done)} of {size(of)} copied")

        repository_copy.copy(here, unfinished, tell)
        there.files.rename(unfinished.path, there.path)
    _let_in(move, say)
    _copy_memory(move)
    _proven(move)
    _copy_records(move)
    old, new = move.escrow
    for end in ("", ".txt"):
        source = old.with_name(old.name + end)
        if source.exists():
            write_whole(new.with_name(new.name + end), source.read_text(encoding="utf-8"), "the key in escrow")


def _let_in(move: StorageMove, say: Say) -> None:
    """Let the host's key into the new place; on the same account it is let into the old one no more."""
    old, new = move.storages
    if new.account is None:
        return
    before = old.account.serve_command(move.old) if old.account is not None else None

    def agrees(question: str) -> bool:
        return before is not None and f"`{before}`" in question

    host = move.session.host(move.new)
    if install_app_key(new.files(move.new), new.account, move.new, host, agrees):
        say(f"{move.new.label}: {host.name} may append to {new.path(move.new)}")


def _proven(move: StorageMove) -> None:
    """Raise AppError unless the copy is what the old repository is, whole, and read from both sides."""
    (old, new), (here, there) = move.storages, move.folders
    repository_folder.hold(move.old, here.files, here.path, move.holder)  # nobody broke it meanwhile
    if old.marks((move.old,)) != new.marks((move.new,)) or new.marks((move.new,)) == [None]:
        raise AppError(
            f"{move.old.name}: the repository in {old.name} was changed while it was copied",
            f"take the move back: `inv app.move --app {move.old.name} --storage {old.name}`; then move it again",
        )
    identity = repository_id(there.files.read(posixpath.join(there.path, "config")))
    checked = check(
        move.session.repository(move.new, Side.OPERATOR),
        CheckOptions(repository_only=True),
        replace(CONFIRMING, timeout=UNLIMITED),
    )
    if checked.problems:
        raise AppError(
            f"{move.new.name}: borg finds the copy in {new.name} damaged: {checked.problems[0]}",
            f"take the move back: `inv app.move --app {move.old.name} --storage {old.name}`, and look at the old one: "
            f"`inv borg.check --app {move.old.name}`",
        )
    for side in Side:
        repository = move.session.repository(move.new, side)
        if archives(repository, how=CONFIRMING).repository_id != identity:
            raise RefusedError(f"{move.new.name}: {repository.host.name} sees another repository in {new.name}")


def _copy_records(move: StorageMove) -> None:
    """Copy the records that the new storage does not have yet. They never change. Raises FilesError."""
    (old, new), (here, there) = move.storages, move.folders
    before, now = old.records_folder(move.old), new.records_folder(move.new)
    there.files.make_directory(now)
    known = set(there.files.names(now))
    names = here.files.names(before) if here.files.exists(before) else ()
    lacking = [posixpath.join(before, name) for name in names if name.endswith(".json") and name not in known]
    for path, content in here.files.read_each(lacking).items():
        if not isinstance(content, FilesError):
            there.files.write_new(posixpath.join(now, posixpath.basename(path)), content)
        elif not content.missing:  # tidied away meanwhile, for a newer one replaces it
            raise content


def _switch(file: Path, app: App, move: StorageMove, say: Say) -> None:
    """Name the new storage in the app's file. Raises AppError."""
    several, text = len(app.storages) > 1, file.read_text(encoding="utf-8")
    write_whole(file, with_key(text, "storage", [*move.new.storages] if several else move.new.storage), "the app")
    say(f"{app.name}: {file} names {move.new.storage} now")


def _ended(move: StorageMove, say: Say) -> None:
    """Set aside what is in the old place, and write the record that ends the move."""
    (old, new), (here, _) = move.storages, move.folders
    name, kept = move.old.name, posixpath.join(posixpath.dirname(here.path), move.kept)
    with noted(move.session, move.new, ACTION) as note:
        _copy_records(move)
        if old.account is not None:
            remove_app_keys(here.files, old.account, move.old)
        if here.files.exists(here.path) or here.files.exists(kept):
            repository_folder.rename(move.old, here.files, here.path, kept, move.holder)
        records = old.records_folder(move.old)
        if here.files.exists(records):
            set_aside.move_records(here.files, records, posixpath.join(posixpath.dirname(records), move.kept), but="")
            with suppress(CloudbackupError):  # somebody wrote a record there meanwhile
                here.files.remove(records)
        _rename_escrow(move)
        shutil.rmtree(move.memory[0], ignore_errors=True)
        identity = repository_id(move.folders[1].files.read(posixpath.join(move.folders[1].path, "config")))
        for side in Side:
            if archives(move.session.repository(move.new, side), how=CONFIRMING).repository_id != identity:
                raise RefusedError(f"{name}: {new.name} has another repository than was moved")
        note.add({ENDS: [move.token], TO: new.name, FROM: old.name, KEPT: move.kept})
    say(f"{name}: its repository is {new.url(move.new)}; the old one is kept in {old.name} as {move.kept}")
    say(f"  `inv borg.rollback --app {name} --storage {old.name} --remove {move.kept}` deletes that one day, for good")


def _rename_escrow(move: StorageMove) -> None:
    old, _ = move.escrow
    for end in ("", ".txt"):
        path = old.with_name(old.name + end)
        if path.exists():
            try:
                path.rename(old.with_name(f"{move.old.storage}-{move.kept}.key{end}"))
            except OSError as error:
                raise AppError(f"{move.old.name}: cannot rename {path}: {error.strerror}", "run it again") from error


def _copy_memory(move: StorageMove) -> None:
    """Let borg on this machine know of the copy what it knew of the repository, such as how new it was when last seen.

    Raises AppError.
    """
    old, new = move.memory
    if not old.exists() or new.exists():
        return
    part = new.with_name(f"{new.name}.{move.token}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(old, part, symlinks=True)
        part.rename(new)
    except (OSError, shutil.Error) as error:
        raise AppError(f"{move.new.name}: cannot copy {old} to {new}: {error}", "mend it, and run it again") from error


def _taken_back(move: StorageMove, say: Say) -> None:
    """Delete the copy, which nothing names, and give the old repository free again. Raises RefusedError."""
    (old, new), (here, there) = move.storages, move.folders
    with noted(move.session, move.old, ACTION) as note:
        if there.files.exists(there.path):
            if old.marks((move.old,)) != new.marks((move.new,)) or new.marks((move.new,)) == [None]:
                raise RefusedError(
                    f"{move.old.name}: {new.url(move.new)} is not the same as {old.url(move.old)}: nothing is deleted",
                    f"if an inventory names {new.name} for the app already, use that one",
                )
            repository_copy.remove(there)
        repository_copy.remove(move.unfinished)
        records = new.records_folder(move.new)
        if there.files.exists(records):
            set_aside.remove(there.files, records)
        if new.account is not None:
            remove_app_keys(there.files, new.account, move.new)
        if old.account is not None:
            install_app_key(here.files, old.account, move.old, move.session.host(move.old))
        for end in ("", ".txt"):
            path = move.escrow[1]
            path.with_name(path.name + end).unlink(missing_ok=True)
        repository_folder.release(here.files, here.path, move.holder)
        shutil.rmtree(move.memory[1], ignore_errors=True)
        for side in Side:  # each may have seen the copy last
            archives(move.session.repository(move.old, side), how=CONFIRMING)
        note.add({ENDS: [move.token], "taken_back": True})
    say(f"{move.old.name}: taken back: its repository is {old.url(move.old)}, and nothing of it is in {new.name}")
