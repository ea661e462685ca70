"""`app.move`: an app goes on on another host; its repository, archives and records stay where they are.

The storage must let the new host in and the old one no more, and the inventory must say where the app is. The steps,
each skipped if already done: an announcement among the records; a key for the new host; the app's file; then the other
keys go, the new host opens the repository, and a record ends it. If it is killed midway, report and `app.check` show
that, and the same command ends it. The old host is asked for nothing: it may be gone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.app.checks import host_checks
from tasks.borg.announcement import announce
from tasks.borg.client.list import archives
from tasks.borg.confirm_address import CONFIRMING
from tasks.borg.recorder import noted
from tasks.borg.renewal_announcement import refuse_other_changes
from tasks.errors import AppError, RefusedError, UsageError
from tasks.files import write_whole
from tasks.inventory.document import Data
from tasks.inventory.edited import with_key
from tasks.inventory.models import App, SshOptions
from tasks.records.ledger import ENDS, TOKEN, ledger
from tasks.remote.ssh import UnknownHostKeyError, fingerprint, shown_host_key
from tasks.run.session import Session, target
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.install import install_app_key, keep_only_key

ACTION = "move"
HOST, FROM = "host", "from"  # in the announcement's details
Ask = Callable[[str], bool]
Say = Callable[[str], None]
Trusts = Callable[[str, str], bool]


@dataclass(frozen=True)
class NewHost:
    """Where an app goes: [user@]host, its SSH port and the operator's key if ~/.ssh/config does not say them."""

    app: str
    host: str
    port: int = 0
    key: str = ""

    @property
    def shown(self) -> str:
        """Describe it."""
        return f"{self.host}, port {self.port}" if self.port else self.host

    def has(self, app: App) -> bool:
        """Return whether the app is there, according to its file."""
        return app.host == self.host and self.port in (0, app.ssh.port)

    def of(self, app: App, host_key: str | None) -> App:
        """Return the app on that host."""
        key = Path(self.key).expanduser() if self.key else app.ssh.key
        ssh = SshOptions(port=self.port or None, key=key, host_key=host_key)
        return app.model_copy(update={"host": self.host, "ssh": ssh})


def run(folder: str, to: NewHost, trusts: Trusts, ask: Ask, say: Say) -> None:
    """Move an app, or end a move that was begun.

    `trusts(host, fingerprint)` returns whether a host key is the right one. Raises UsageError, RefusedError, AppError
    before anything is changed; AppError, HostError midway: run again, it goes on.
    """
    place, name = Path(folder), to.app
    with Session(load(place)) as session:
        app = session.inventory.app(name)
        begun = [_begun(session, copy, to.shown) for copy in app.copies]
        if not to.has(app):
            new = _reached(session, app, to, trusts, say)
            if not any(begun):
                _require_movable(session, app)
                if not ask(f"Let {name} go on on {to.shown}, and {app.host} save nothing more of it?"):
                    say(f"{name}: nothing was changed")
                    return
            for number, copy in enumerate(app.copies):
                begun[number] = begun[number] or _announced(session, copy, to.shown)
                _let_in(session, _there(copy, new), say)
            _switch(place / "apps" / f"{name}.yml", new)
            say(f"{name}: {place / 'apps' / f'{name}.yml'} names {to.host} now")
        elif not any(begun):
            raise UsageError(f"{name} is on {to.shown} already", "name another host")
    with Session(load(place)) as session:
        for copy, token in zip(session.inventory.app(name).copies, begun, strict=True):
            if token:
                _ended(session, copy, token, say)
        say(f"{name}: its data comes there by `inv restore --app {name}`; `inv backup --app {name}` saves it")


def _begun(session: Session, copy: App, host: str) -> str:
    """Return the token of a move that has not ended; empty for none. Raises RefusedError for one to another host."""
    known = ledger(session.storage_of(copy).read_history(copy))
    begun = [each for each in known.unfinished if each.details.get("of") == ACTION and TOKEN in each.details]
    for each in begun:
        if each.details.get(HOST) != host:
            there = str(each.details.get(HOST))
            raise RefusedError(
                f"{copy.name}: it is being moved to {there}", "end that first, by the same command with that host"
            )
    if not begun:
        refuse_other_changes(copy, known)
    return str(begun[-1].details[TOKEN]) if begun else ""


def _reached(session: Session, app: App, to: NewHost, trusts: Trusts, say: Say) -> App:
    """Return the app on the new host, which has what a backup needs. Raises AppError, HostError, RefusedError."""
    new = to.of(app, None)
    try:
        _check(session, new, say)
    except UnknownHostKeyError:
        key = shown_host_key(target(new))
        if not trusts(to.host, fingerprint(key)):
            raise RefusedError(
                f"{app.name}: {fingerprint(key)} is not the host key to trust; nothing was changed"
            ) from None
        new = to.of(app, key)
        _check(session, new, say)
    return new


def _check(session: Session, new: App, say: Say) -> None:
    found = [each for each in host_checks(session, new) if each.level != "ok"]
    wrong = [each for each in found if each.level == "error" and each.name not in new.sources]
    if wrong:
        lines = [f"{each.name}: {each.text}: {each.remedy}".removesuffix(": ") for each in wrong]
        raise AppError(f"{new.name}: {new.host} is not ready:", "\n  ".join(lines))
    for each in found:  # its data may be about to be restored there
        say(f"{new.name}: {each.name}: {each.text}")
    for copy in new.copies:
        session.storage_of(copy).refuse_unreachable(session.host(new))


def _require_movable(session: Session, app: App) -> None:
    for copy in app.copies:
        storage = session.storage_of(copy)
        if storage.account is None:
            raise RefusedError(
                f"{app.name}: {storage.name}, of kind {storage.kind}, is reached by what the host itself has",
                f"bring that to the new host, and change `host` in the app's file; `inv app.check --app {app.name}`",
            )


def _there(copy: App, new: App) -> App:
    return new.model_copy(update={"storage": copy.storage})


def _announced(session: Session, copy: App, host: str) -> str:
    return announce(session.storage_of(copy), copy, ACTION, **{HOST: host, FROM: copy.host})


def _let_in(session: Session, new: App, say: Say) -> None:
    storage = session.storage_of(new)
    assert storage.account is not None
    if install_app_key(storage.files(new), storage.account, new, session.host(new)):
        say(f"{new.label}: {new.host} may append to {storage.path(new)}")


def _switch(file: Path, new: App) -> None:
    """Write the new host into the app's file. Raises AppError."""
    text = with_key(file.read_text(encoding="utf-8"), "ssh", _written(new.ssh) or None)
    write_whole(file, with_key(text, "host", new.host), "the app")


def _written(ssh: SshOptions) -> dict[str, Data]:
    given = {"port": ssh.port, "key": str(ssh.key) if ssh.key else None, "host_key": ssh.host_key}
    return {key: value for key, value in given.items() if value is not None}


def _ended(session: Session, copy: App, token: str, say: Say) -> None:
    """Let no other key in, open the repository from the new host, and write the record that ends the move."""
    storage = session.storage_of(copy)
    assert storage.account is not None
    with noted(session, copy, ACTION) as note:
        gone = keep_only_key(storage.files(copy), storage.account, copy, session.host(copy))
        if gone:
            say(f"{copy.label}: the key of the host before opens the repository no more ({', '.join(gone)})")
        archives(session.repository(copy, Side.HOST), how=CONFIRMING)
        note.add({ENDS: [token], HOST: copy.host})
