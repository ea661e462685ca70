"""The announcement of a renewal, in a record: where the old repository goes, and which keys count as stolen."""

import posixpath
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.borg.announcement import ANNOUNCED, announce
from tasks.borg.anomalies import AT_WORK
from tasks.borg.folder import refuse_held
from tasks.errors import RefusedError, UsageError
from tasks.inventory.models import App
from tasks.records.chronology import texts
from tasks.records.ledger import REMOVING, TOKEN, Ledger, ledger
from tasks.records.record import Record
from tasks.remote.files import Files
from tasks.run import clocks
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storagebox.install import app_keys

ACTION = "renew"
ASIDE, OLD_KEYS, NEW_PASSPHRASE = "aside", "old_keys", "new_passphrase"  # keys in the record's details


@dataclass(frozen=True)
class Renewal:
    """The renewal of the repository of one copy of an app.

    `aside` is the new name of the old repository, `token` identifies the announcement, `old_keys` are the fingerprints
    of the access keys that count as stolen, `new_passphrase` is whether the passphrase changes.
    """

    session: Session
    app: App
    aside: str
    token: str
    old_keys: tuple[str, ...]
    new_passphrase: bool

    @property
    def files(self) -> Files:
        """The storage's files."""
        return self.session.storage_of(self.app).files(self.app)

    @property
    def folder(self) -> str:
        """The path of the repository: of the old one, later of the new one."""
        return self.session.storage_of(self.app).path(self.app)

    @property
    def put_aside(self) -> str:
        """The path of the old repository after it was moved."""
        return posixpath.join(posixpath.dirname(self.folder), self.aside)

    @property
    def moved(self) -> bool:
        """Whether the old repository has its new name."""
        return self.files.exists(self.put_aside)


def begun_renewal(session: Session, app: App) -> Record | None:
    """Return the announcement of a renewal that has not ended. Raises RefusedError if none may begin."""
    storage = session.storage_of(app)
    if storage.published_at(app) is not None:
        raise RefusedError(
            f"{app.name}: a storage of kind {storage.kind} has no renewal: its repositories are copies",
            "change its credentials and the passphrase; for a new repository choose another `prefix` or `directory`",
        )
    for said in clocks.compared(session, app, host=False):
        print(f"{app.label}: {said}")
    known = ledger(storage.read_history(app))
    begun = [each for each in known.unfinished if each.details.get("of") == ACTION and _is_sound(app, each)]
    if not begun:
        refuse_other_changes(app, known)
    return begun[-1] if begun else None


def _is_sound(app: App, begun: Record) -> bool:
    """Return whether an announcement only names what ours would: a host could write any path to its own storage."""
    aside = re.escape(app.name + set_aside.UNTIL) + r"[0-9T-]{19}"
    return bool(
        re.fullmatch(aside, str(begun.details.get(ASIDE)))
        and re.fullmatch(r"[0-9a-f]{16}", str(begun.details.get(TOKEN)))
    )


def refuse_other_changes(app: App, known: Ledger) -> None:
    """Raise RefusedError while another change or removal has not ended."""
    for each in known.unfinished:
        what = str(each.details.get("of"))
        at_work = what in REMOVING and TOKEN in each.details and datetime.now(UTC) - each.time < AT_WORK
        if what in ANNOUNCED or at_work:
            begun = f"{each.time:%Y-%m-%d %H:%M} UTC by {each.operator or 'somebody'}"
            raise RefusedError(
                f"{app.name}: {ANNOUNCED.get(what, f'{what} of archives')}, begun {begun}, has not ended",
                "run the same command again, or wait for its end; then run this again",
            )


def done(session: Session, app: App, aside: str) -> bool:
    """Return whether this copy was already renewed, by a run that was killed before it reached another copy."""
    storage = session.storage_of(app)
    return storage.files(app).exists(posixpath.join(posixpath.dirname(storage.path(app)), aside))


def announced(session: Session, app: App, begun: Record | None, aside: str, *, new: bool) -> Renewal:
    """Announce the renewal, unless that was done."""
    storage = session.storage_of(app)
    if begun is not None:
        stolen = texts(begun.details.get(OLD_KEYS))
        return Renewal(session, app, aside, str(begun.details[TOKEN]), stolen, new)
    if not storage.files(app).exists(posixpath.join(storage.path(app), "config")):
        raise UsageError(
            f"{app.name}: there is no repository at {storage.url(app)}", f"`inv borg.init --app {app.name}` makes it"
        )
    refuse_held(app, storage.files(app), storage.path(app))
    old: tuple[str, ...] = ()
    if storage.account is not None:
        old = tuple(app_keys(storage.files(app), storage.account, app, session.host(app)))
    token = announce(storage, app, ACTION, **{ASIDE: aside, OLD_KEYS: list(old), NEW_PASSPHRASE: new})
    return Renewal(session, app, aside, token, old, new)
