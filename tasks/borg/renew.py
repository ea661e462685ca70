"""`borg.renew`: a new repository for future backups; the old one is set aside, after somebody else had the host's key.

Anybody who had a repository's key and passphrase can read it for ever, so backups need a new access key, a new
passphrase, and a new repository. The steps, each skipped if already done: an announcement among the records, with the
name of the folder for the old repository and the keys that count as stolen; the access keys; the passphrase; the old
repository, its records and its key in escrow are moved to dated names; the new repository, and the record that ends the
renewal. If it is killed midway, the report shows that, and the same command completes it.
"""

import posixpath
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg import folder as repository_folder
from tasks.borg import guard, new_passphrase
from tasks.borg.change_passphrase import opens
from tasks.borg.client.init import Initialised, init
from tasks.borg.client.key_export import escrow_path
from tasks.borg.escrow import read_copy
from tasks.borg.recorder import noted
from tasks.borg.removal import seen, vouched
from tasks.borg.renewal_announcement import ASIDE, NEW_PASSPHRASE, Renewal, announced, begun_renewal, done
from tasks.errors import AppError, UsageError
from tasks.inventory.models import App
from tasks.inventory.secrets import SecretReference, SecretStore
from tasks.records.ledger import ENDS, INTENT
from tasks.records.record import kind
from tasks.remote.secret import Secret
from tasks.run.client_cache import repository_id
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storage.state import newest_transaction
from tasks.storagebox.install import replace_app_keys

SHOWN = ("BORG_RSH", "BORG_REMOTE_PATH")
Ask = Callable[[str], bool]
Say = Callable[[str], None]


def run(folder: str, name: str, storage: str, ask: Ask, say: Say) -> None:
    """Renew an app's repositories, or only the one in `storage`, whose passphrase then stays, as the others use it too.

    Raises UsageError, RefusedError while another change has not ended or the repository is in use, AppError.
    """
    with Session(load(Path(folder))) as session:
        every, copies = session.inventory.copies(name), session.inventory.copies(name, storage or None)
        begun = {copy.storage: begun_renewal(session, copy) for copy in copies}
        first = next((each for each in begun.values() if each is not None), None)
        aside = str(first.details[ASIDE]) if first else f"{name}{set_aside.UNTIL}{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        if first is None and not ask(f"Begin a new repository of {name}, and keep the old one as {aside}?"):
            say(f"{name}: nothing was changed")
            return
        new = bool(first.details.get(NEW_PASSPHRASE)) if first else len(copies) == len(every)
        renewals = [
            announced(session, copy, begun[copy.storage], aside, new=new)
            for copy in copies
            if begun[copy.storage] or not done(session, copy, aside)
        ]
        for each in renewals:
            _renew_keys(each, say)
        _renew_passphrase(renewals, say, again=first is not None)
        for each in renewals:
            _set_aside(each, say)
            made = _made(each)
            url = session.storage_of(each.app).url(each.app)
            say(f"{each.app.label}: new repository {url}, its key in {made.escrow.key}")
            for line in _kept(each):
                say(line)
        say(f"{name}: no backup was made; the next one is a first one, of everything: `inv backup --app {name}`")


def remove_records(session: Session, app: App, name: str) -> None:
    """Delete the records of a repository that was set aside under that name, if there are any. Raises FilesError."""
    storage = session.storage_of(app)
    folder = posixpath.join(posixpath.dirname(storage.records_folder(app)), name)
    if storage.files(app).exists(folder):
        set_aside.remove(storage.files(app), folder)


def _renew_keys(renewal: Renewal, say: Say) -> None:
    app, account = renewal.app, renewal.session.storage_of(renewal.app).account
    if account is None:
        return
    if replace_app_keys(renewal.files, account, app, renewal.session.host(app), renewal.old_keys):
        say(
            f"{app.label}: the old key opens the repository no more ({', '.join(renewal.old_keys) or 'there was none'})"
        )
        say(f"{app.label}: {'its host' if app.storage_key == 'host' else 'this machine'} has a new key for the storage")


def _renew_passphrase(renewals: Sequence[Renewal], say: Say, *, again: bool) -> None:
    """Generate a passphrase, or raise AppError until a person has put a new one where the inventory names it."""
    if not renewals or any(each.moved for each in renewals):  # nothing is moved before that
        return
    first = renewals[0]
    app, store = first.app, first.session.inventory.secrets
    if not first.new_passphrase:
        say(f"{app.name}: its passphrase stays: the repositories in its other storages live by it")
        return
    if _is_ours(store, app):
        if new_passphrase.renew(store, app.name, first.aside):
            say(f"{app.name}: new passphrase made, kept in {new_passphrase.told(app.passphrase)}")
        return
    repository = first.session.repository(app, Side.OPERATOR)
    current = repository.environment["BORG_PASSPHRASE"]
    if isinstance(current, Secret) and opens(repository, current):
        raise _waits(first)
    if not again:
        raise AppError(
            f"{app.name}: {new_passphrase.told(app.passphrase)} does not open the repository",
            f"name its passphrase there, or see what was done to it by `inv borg.rollback --app {app.name}`; "
            "then run this again",
        )


def _is_ours(store: SecretStore, app: App) -> bool:
    """Return whether the app's passphrase is in the store in which this inventory keeps generated ones."""
    try:
        return new_passphrase.place(store, app.name) == app.passphrase
    except UsageError:
        return False


def _waits(renewal: Renewal) -> AppError:
    app = renewal.app.name
    place = new_passphrase.told(renewal.app.passphrase)
    return AppError(
        f"{app}: {place} still has the old passphrase, and is not where this inventory keeps new ones",
        f"keep the old passphrase elsewhere under the name {renewal.aside}, for the old archives; put a new one (such "
        f"as `openssl rand -base64 32` prints) into {place}, and run the same command again: it goes on from there",
    )


def _set_aside(renewal: Renewal, say: Say) -> None:
    """Move the old repository, its records, and its key in escrow to their dated names."""
    app, storage = renewal.app, renewal.session.storage_of(renewal.app)
    holder = f"cloudbackup-renewal-{renewal.token}.0-0"
    repository_folder.rename(app, renewal.files, renewal.folder, renewal.put_aside, holder)
    records = storage.records_folder(app)
    set_aside.move_records(
        renewal.files, records, posixpath.join(posixpath.dirname(records), renewal.aside), _announcement(renewal)
    )
    identity = repository_id(renewal.files.read(posixpath.join(renewal.put_aside, "config")))
    path = escrow_path(renewal.session.inventory.escrow, app.storage, app.name)
    copy = read_copy(path)
    if copy is not None and copy.split()[1:2] == [identity.encode()]:
        kept = path.with_name(f"{app.storage}-{renewal.aside}.key")
        try:
            if (paper := path.with_name(f"{path.name}.txt")).exists():
                paper.replace(kept.with_name(f"{kept.name}.txt"))
            path.replace(kept)
        except OSError as error:
            raise AppError(f"{app.name}: cannot move {path} to {kept}: {error.strerror}") from error
    say(f"{app.label}: the old repository and its records are kept as {renewal.aside}")


def _announcement(renewal: Renewal) -> str:
    """Return the file name of the record that announced the renewal. Raises AppError."""
    folder = renewal.session.storage_of(renewal.app).records_folder(renewal.app)
    for name in renewal.files.names(folder):
        if kind(name) == INTENT and renewal.token.encode() in renewal.files.read(posixpath.join(folder, name)):
            return name
    raise AppError(f"{renewal.app.name}: the record that announced this is gone", "run the same command again")


def _made(renewal: Renewal) -> Initialised:
    """Create the new repository, export its key to escrow, and write the record that ends the renewal."""
    app, session, files = renewal.app, renewal.session, renewal.files
    if files.exists(renewal.folder) and newest_transaction(files.names(renewal.folder)) is None:
        set_aside.remove(files, renewal.folder)  # left by a killed `borg init`: nothing was ever committed in it
    with noted(session, app, "init") as note:
        repository = session.repository(app, Side.OPERATOR)
        made = init(repository, session.inventory.escrow)
        found = guard.look(session, app, repository, patience=guard.AT_ONCE)
        note.add(seen(found) | vouched(found))
        note.add({ENDS: [renewal.token], ASIDE: renewal.aside})
    return made


def _kept(renewal: Renewal) -> Iterator[str]:
    """Yield how to read the old archives, and how to delete them one day."""
    app, session = renewal.app, renewal.session
    repository = session.repository(app, Side.OPERATOR)
    url = session.storage_of(app).url(app.model_copy(update={"name": renewal.aside}))
    words = [f"BORG_REPO={shlex.quote(url)}"]
    for key in SHOWN:
        value = repository.environment.get(key)
        words += [f"{key}={shlex.quote(value)}"] if isinstance(value, str) else []
    where = f"    # on {repository.host.name}" if repository.host is not session.operator else ""
    yield f"{app.label}: stock borg reads the old archives, with {_old_passphrase(session.inventory.secrets, renewal)}:"
    yield f"  {' '.join(words)} BORG_RELOCATED_REPO_ACCESS_IS_OK=yes borg list{where}"
    of = f" --storage {app.storage}" if app.label != app.name else ""
    yield f"  `inv borg.rollback --app {app.name}{of} --remove {renewal.aside}` deletes them one day, for good"


def _old_passphrase(store: SecretStore, renewal: Renewal) -> str:
    if not renewal.new_passphrase:
        return "the passphrase as it is"
    if not _is_ours(store, renewal.app):
        return "the old passphrase"
    kept: SecretReference = new_passphrase.place(store, renewal.aside)
    return f"the old passphrase in {new_passphrase.told(kept)}"
