"""`app.rename`: another name for an app, whose archives stay its own.

The name is in many places, and only one of them changes at one moment: the inventory. So the steps, each skipped if
already done, are for each of the app's storages: an announcement among the records of both names; a key for the folder
of the new name; that folder; the records; the repository's key in escrow. Then the app's file, with the old name under
`formerly`. Then goes what only the old name needed, and borg on both sides learns the new address. If it is killed
midway, report and `app.check` show that under whichever name the inventory has, and the same command ends it.
"""

import posixpath
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.borg import folder as repository_folder
from tasks.borg.announcement import announced
from tasks.borg.client.key_export import escrow_path
from tasks.borg.client.list import archives
from tasks.borg.confirm_address import CONFIRMING
from tasks.borg.recorder import noted
from tasks.borg.renewal_announcement import refuse_other_changes
from tasks.errors import AppError, RefusedError, UsageError
from tasks.files import write_whole
from tasks.inventory.edited import with_key
from tasks.inventory.models import App
from tasks.inventory.values import read_app_name
from tasks.records.ledger import ENDS, TOKEN, ledger
from tasks.remote.files import Files
from tasks.run.client_cache import repository_id
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storage.base import Storage
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.install import drop_own_key, install_app_key, remove_app_keys

ACTION = "rename"
TO = "to"  # in the announcement's details
Ask = Callable[[str], bool]
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Copy:
    """One storage's copy of an app under both names; `token` identifies the announcement, empty before it."""

    session: Session
    old: App
    new: App
    token: str = ""

    @property
    def storage(self) -> Storage:
        """The storage."""
        return self.session.storage_of(self.old)

    @property
    def files(self) -> Files:
        """The storage's files."""
        return self.storage.files(self.old)

    @property
    def records(self) -> tuple[str, str]:
        """The folders of the records, of the old name and of the new one."""
        return self.storage.records_folder(self.old), self.storage.records_folder(self.new)


def run(folder: str, old: str, new: str, ask: Ask, say: Say) -> None:
    """Rename an app, or end a renaming that was begun.

    Raises UsageError, RefusedError before anything is changed; AppError, HostError midway: run again, it goes on.
    """
    place = Path(folder)
    with Session(load(place)) as session:
        copies = _copies(session, old, _checked(new))
        if old in session.inventory.apps and new not in session.inventory.apps:
            for each in copies:
                if not each.token:  # a renaming that was begun may have reached the other storages alone
                    _require_free(each)
            begun = any(each.token for each in copies)
            if not begun and not ask(f"Rename {old} to {new}, its repository and records too?"):
                say(f"{old}: nothing was changed")
                return
            tokens = [_moved(each, say) for each in copies]
            _switch(place / "apps", old, new, copies[0].new.formerly)
            say(f"{new}: {place / 'apps' / f'{new}.yml'} is its file now; passphrase and settings stay as they are")
        else:
            tokens = [each.token for each in copies]
    with Session(load(place)) as session:
        app = session.inventory.app(new)
        for copy, token in zip(app.copies, tokens, strict=True):
            if token:
                _ended(_Copy(session, copy.model_copy(update={"name": old}), copy, token))
        say(f"{new}: what names {old} elsewhere (timers, monitors, manifests) needs the new name")


def _checked(new: str) -> str:
    try:
        return read_app_name(new)
    except ValueError as error:
        raise UsageError(f"the name {new} {error}") from error


def _copies(session: Session, old: str, new: str) -> Sequence[_Copy]:
    """Return the app's copies, with the tokens of what was begun. Raises UsageError, RefusedError."""
    apps = session.inventory.apps
    app = apps.get(new)
    if app is None:
        app = session.inventory.app(old)
        known = (old, *app.formerly)
        formerly = tuple(dict.fromkeys(each for each in known if each != new))
        return [_begun(_Copy(session, copy, _named(copy, new, formerly)), old) for copy in app.copies]
    if old not in app.formerly:
        raise UsageError(f"there is an app {new} in the inventory already", "choose another name")
    copies = [_begun(_Copy(session, _named(copy, old, copy.formerly), copy), new) for copy in app.copies]
    if not any(each.token for each in copies):
        raise UsageError(f"{old} was renamed to {new} already")
    return copies


def _named(app: App, name: str, formerly: Sequence[str]) -> App:
    return app.model_copy(update={"name": name, "formerly": tuple(formerly)})


def _begun(copy: _Copy, name: str) -> _Copy:
    """Return the copy with the token of a renaming that has not ended, according to the records of that name."""
    mine = copy.old if name == copy.old.name else copy.new
    known = ledger(copy.storage.read_history(mine))
    begun = [each for each in known.unfinished if each.details.get("of") == ACTION]
    for each in begun:
        to = str(each.details.get(TO))
        if to != copy.new.name:
            raise RefusedError(
                f"{name}: it is being renamed to {to}", f"end that: `inv app.rename --app {name} --to {to}`"
            )
    tokens = [str(each.details[TOKEN]) for each in begun]
    if tokens and not re.fullmatch(r"[0-9a-f]{16}", tokens[-1]):
        raise RefusedError(f"{name}: the announcement of a renaming is not ours", "look at the records of the app")
    if not tokens:
        refuse_other_changes(mine, known)
    return _Copy(copy.session, copy.old, copy.new, tokens[-1] if tokens else "")


def _require_free(copy: _Copy) -> None:
    """Raise UsageError, RefusedError, HostError unless everything can be renamed."""
    old, new, storage, files = copy.old, copy.new, copy.storage, copy.files
    if storage.published_at(old) is not None:
        raise RefusedError(
            f"{old.name}: a storage of kind {storage.kind} cannot rename: its repositories are copies",
            "add the app under its new name, and keep the old one, `paused`, until its archives may go",
        )
    if not files.exists(posixpath.join(storage.path(old), "config")):
        raise UsageError(f"{old.name}: there is no repository at {storage.url(old)}", "rename its file by hand")
    aside = set_aside.folders(files, storage.path(old))
    if aside:
        raise RefusedError(
            f"{old.name}: {posixpath.basename(aside[0])} is set aside beside its repository, under the old name",
            f"`inv borg.rollback --app {old.name}` shows how to bring it back or remove it",
        )
    records = copy.records[1]
    if files.exists(storage.path(new)) or (files.exists(records) and files.names(records)):
        raise RefusedError(f"{new.name}: the storage {storage.name} has a repository or records of that name already")
    if escrow_path(copy.session.inventory.escrow, new.storage, new.name).exists():
        raise RefusedError(f"{new.name}: the escrow folder has a key of that name already")
    repository_folder.refuse_held(old, files, storage.path(old))
    if storage.account is not None:
        copy.session.host(old).facts()  # the host is needed: its key changes


def _moved(copy: _Copy, say: Say) -> str:
    """Do all that comes before the app's file; return the announcement's token."""
    old, new, storage, files = copy.old, copy.new, copy.storage, copy.files
    token = copy.token or secrets.token_hex(8)
    for app in (old, new):
        if not _announcement(files, storage.records_folder(app), token):
            storage.write_record(app, announced(app.name, ACTION, token, **{TO: new.name}))
    if storage.account is not None:
        install_app_key(files, storage.account, new, copy.session.host(old))
    holder = f"cloudbackup-rename-{token}.0-0"
    repository_folder.rename(old, files, storage.path(old), storage.path(new), holder)
    _move_records(copy, token)
    for end in ("", ".txt"):
        path = escrow_path(copy.session.inventory.escrow, old.storage, old.name)
        path = path.with_name(path.name + end)
        to = escrow_path(copy.session.inventory.escrow, new.storage, new.name)
        if path.exists():
            _rename(path, to.with_name(to.name + end))
    say(f"{new.label}: its repository is {storage.url(new)}")
    return token


def _announcement(files: Files, folder: str, token: str) -> str:
    """Return the file name of the announcement among the records of one name; empty if it is not there."""
    for name in files.names(folder) if files.exists(folder) else ():
        if "-intent" in name and token.encode() in files.read(posixpath.join(folder, name)):
            return name
    return ""


def _move_records(copy: _Copy, token: str) -> None:
    """Move all records but the announcement of the old name."""
    before, now = copy.records
    stays = _announcement(copy.files, before, token)
    for name in copy.files.names(before) if copy.files.exists(before) else ():
        if name != stays:
            copy.files.rename(posixpath.join(before, name), posixpath.join(now, name))


def _switch(apps: Path, old: str, new: str, formerly: Sequence[str]) -> None:
    """Give the app's file its new name, with the old one in it. Raises AppError."""
    file = apps / f"{old}.yml"
    write_whole(file, with_key(file.read_text(encoding="utf-8"), "formerly", list(formerly)), "the app")
    _rename(file, apps / f"{new}.yml")


def _ended(copy: _Copy) -> None:
    """Remove what only the old name needed, tell borg the new address, and write the record that ends it."""
    old, new, storage, files, session = copy.old, copy.new, copy.storage, copy.files, copy.session
    with noted(session, new, ACTION) as note:
        if storage.account is not None:
            remove_app_keys(files, storage.account, old)
            drop_own_key(storage.account, old, session.host(new))
        _keep_memory(session, old, new)
        _move_records(copy, copy.token)
        if files.exists(copy.records[0]):
            set_aside.remove(files, copy.records[0])
        identity = repository_id(files.read(posixpath.join(storage.path(new), "config")))
        for side in Side:
            repository = session.repository(new, side)
            if archives(repository, how=CONFIRMING).repository_id != identity:
                raise RefusedError(f"{new.name}: {repository.host.name} sees another repository than {storage.name}")
        note.add({ENDS: [copy.token], "from": old.name})


def _keep_memory(session: Session, old: App, new: App) -> None:
    """Rename the folder of borg's memory on this machine: it knows how new a repository was when last seen."""
    place = session.inventory.cache / "borg" / old.storage
    if (place / old.name).exists() and not (place / new.name).exists():
        with suppress(OSError):
            (place / old.name).rename(place / new.name)


def _rename(path: Path, to: Path) -> None:
    try:
        path.rename(to)
    except OSError as error:
        raise AppError(f"cannot rename {path} to {to}: {error.strerror}", "mend it, and run the same again") from error
