"""`app.remove`: takes an app out of the inventory and revokes its host's key. No archive is touched.

If a key is to be revoked, that is first announced in the app's records; the app's file is moved last. The announcement
stays, for operators who have the app in another inventory, until the app is taken into use again.
"""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.borg.announcement import REMOVE, announce, unended
from tasks.borg.client.key_export import escrow_path
from tasks.borg.new_passphrase import told
from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.records.ledger import ledger
from tasks.remote.running import HostError
from tasks.remote.secret import Secret
from tasks.run.session import Session
from tasks.storage.base import Storage
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.install import remove_app_keys

Say = Callable[[str], None]
BORGS = ("BORG_REPO", "BORG_RSH", "BORG_REMOTE_PATH")


def run(folder: str, name: str, ask: Callable[[str], bool], say: Say) -> None:
    """Take an app out, keeping its archives, passphrase and escrow copy, and print how to delete each.

    Raises UsageError for an unknown app, HostError and FilesError if its key cannot be revoked; the app then stays in
    the inventory. A host that is gone does not prevent it.
    """
    with Session(load(Path(folder))) as session:
        app = session.inventory.app(name)
        if not ask(f"Take {name} out of the inventory? Its archives stay, its host can add no more."):
            say(f"{name}: nothing changed")
            return
        deleting = {copy.storage: list(_deleting(session, copy)) for copy in app.copies}
        for copy in app.copies:
            storage = session.storage_of(copy)
            if storage.account is None:
                continue
            if not unended(ledger(storage.read_history(copy)), REMOVE):
                announce(storage, copy, REMOVE)
            if remove_app_keys(storage.files(copy), storage.account, copy):
                say(f"{name}: its key opens {storage.path(copy)} no more")
        say(f"{name}: moved to {_moved(session.inventory.folder, name)}")
        for copy in app.copies:
            storage, escrow = session.storage_of(copy), escrow_path(session.inventory.escrow, copy.storage, name)
            secret = told(app.passphrase)
            say(f"Kept: the repository {storage.url(copy)}, its passphrase ({secret}), the escrow copy {escrow}.")
            for line in (*deleting[copy.storage], *_published(storage, copy)):
                say(line)


def _moved(folder: Path, name: str) -> Path:
    """Move an app's file out of `apps`; a file that was moved earlier is kept next to it."""
    place = folder / "removed" / f"{name}.yml"
    count = 1
    while place.exists():
        count += 1
        place = place.with_name(f"{name}.{count}.yml")
    try:
        place.parent.mkdir(exist_ok=True)
        (folder / "apps" / f"{name}.yml").rename(place)
    except OSError as error:
        raise AppError(f"{name}: cannot move its file to {place}: {error.strerror}") from error
    return place


def _deleting(session: Session, app: App) -> Iterator[str]:
    """Yield how to delete the archives. If the host is gone, so is what only it could reach."""
    try:
        repository = session.repository(app, Side.OPERATOR)
    except HostError as error:
        yield f"It can be reached from {app.host} alone, and that host does not answer: {error.what}"
        return
    yield "To delete the archives for good, with the passphrase; only then its passphrase and the escrow copy:"
    values = {key: repository.environment[key] for key in BORGS if key in repository.environment}
    words = [f"{key}={shlex.quote(value)}" for key, value in values.items() if not isinstance(value, Secret)]
    yield f"  {' '.join(words)} borg delete" + (
        f"    # on {repository.host.name}" if repository.host.name != "local" else ""
    )


def _published(storage: Storage, app: App) -> Iterator[str]:
    """Yield where published copies are: borg on the host does not delete those."""
    place = storage.published_at(app)
    if place is not None:
        yield f"  and then the published copy, which borg does not reach: all below {place} in {storage.name}"
