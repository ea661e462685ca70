"""Making an archive that the records know of, whatever becomes of a connection or of the operator meanwhile.

An archive is there from borg's commit on; that it is ours, only a record tells, and that is written later. So two
things are done. Where borg's end was not heard, the repository is asked for that very archive, and one that is there is
taken over: borg gives an archive its name when it is whole. Where borg told that it failed, it is believed, whatever is
listed: a new archive may share a damaged chunk with older ones, which borg finds when it reads its own work. And before
borg starts, a record of the action `begun` says which name is coming; it is taken back once the archive has its own
record. An operator who dies in between leaves it, and then an archive of that name is no stranger
(`doubts.strangers`): the next prune or check vouches for it by its id.

A stolen host wins nothing by a name so left behind. It could have put any bytes into that archive while the backup ran.
One that it forges later must be dated as its name says, or it is told; it takes no place in `keep` but the one that the
backup would have taken, and is as unproven as that. A name that has a record of its own excuses nothing.
"""

from datetime import UTC, datetime

from tasks.borg.client import archive_name
from tasks.borg.client.create import Created, IncompleteError, Options, create
from tasks.borg.client.list import Archive, archives
from tasks.borg.client.runner import PLAIN, BorgError, ContentError, How
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.ledger import BEGUN
from tasks.records.record import Record, operator_name
from tasks.records.verdict import UNHEARD
from tasks.run.session import Session
from tasks.storage.repository import Repository, Side

ASKING = How(lock_wait=20, timeout=60)  # a borg that lost its operator has ended by then, and let go of its lock
EXISTS = "Archive.AlreadyExists"
SIGNALLED = 128  # exit codes above it are a shell's for a signal; borg 1.4 gives its own up to 107, and 128 + n as well


def make(session: Session, app: App, repository: Repository, options: Options, how: How = PLAIN) -> Created:
    """Make an archive as `create` does, announced beforehand; one whose end was not heard, but is there, is returned.

    A storage that cannot take the announcement keeps nothing from being saved. Raises what `create` raises.
    """
    _announce(session, app, options.archive)
    try:
        return create(repository, options, how)
    except CloudbackupError as error:
        if _ours_is_not_there(error):
            session.storage_of(app).withdraw(app, options.archive)
            raise
        # Of a published repository only what was published is saved: the next backup does that first.
        asked = _unheard(error) and repository.publication is None
        found = _look(session, app, options.archive) if asked else None
        if found is None:
            raise
        return _taken_over(app, found, error)


def _parsed(archive: str) -> archive_name.ArchiveName:
    named = archive_name.parse(archive)
    assert named is not None, archive
    return named


def _announce(session: Session, app: App, archive: str) -> None:
    named = _parsed(archive)
    record = Record(app.name, BEGUN, named.time, "ok", named.source, archive=archive, operator=operator_name())
    try:
        session.storage_of(app).announce(app, record)
    except CloudbackupError:
        return  # the record of the backup, later, tells a person


def _ours_is_not_there(error: CloudbackupError) -> bool:
    """Tell whether borg itself said that there is no such archive of ours, or that it is not whole."""
    return isinstance(error, ContentError | IncompleteError) or (isinstance(error, BorgError) and error.msgid == EXISTS)


def _unheard(error: CloudbackupError) -> bool:
    """Tell whether borg did not say how it ended: a connection was lost, its time was over, or a signal ended it."""
    return not isinstance(error, BorgError) or error.transient or error.result.code > SIGNALLED


def _look(session: Session, app: App, name: str) -> Archive | None:
    """Return the archive of this name; None when there is none, or it cannot be learnt: the announcement stays."""
    try:
        listing = archives(session.repository(app, Side.OPERATOR), how=ASKING)
    except CloudbackupError:
        return None
    return next((archive for archive in listing.archives if archive.name == name), None)


def _taken_over(app: App, found: Archive, error: CloudbackupError) -> Created:
    """Return an archive of which only the listing tells."""
    what = error.what.removeprefix(f"{app.name}: ")
    return Created(
        archive=found.name,
        id=found.id,
        start=found.start,
        size=None,
        stored=None,
        files=None,
        seconds=(datetime.now(UTC) - _parsed(found.name).time).total_seconds(),
        warnings=(f"{what}; the archive is there and whole all the same, but {UNHEARD}",),
        met=error,
    )
