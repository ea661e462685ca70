"""Creates an archive that the records know about, even if the connection or the operator is lost midway.

An archive exists from borg's commit on, but only a record, written later, shows that it is ours. Therefore:

If borg's exit was not seen, the repository is asked for exactly this archive, and if it exists it is used: borg names
an archive only once it is complete. If borg reported a failure, that is believed whatever is listed: a new archive may
share a damaged chunk with older ones, which borg finds when it reads its own work.

Before borg starts, a record of the action `begun` announces the name; it is deleted once the archive has its own
record. If the operator dies in between, the announcement stays, and an archive of that name does not count as
unrecorded (`anomalies.strangers`): the next prune or check vouches for it by its id.

A stolen host gains nothing from such a name. It could have put any bytes into that archive while the backup ran. An
archive forged later must be dated as its name says, or it is reported; in `keep` it only takes the place that the
backup would have taken, and it is just as unproven. A name that has a record of its own excuses nothing.
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

ASKING = How(lock_wait=20, timeout=60)  # by then a borg without its operator has ended and released its lock
EXISTS = "Archive.AlreadyExists"
SIGNALLED = 128  # shells exit above it after a signal; borg 1.4 has codes up to 107 of its own, and also 128 + n


def make(session: Session, app: App, repository: Repository, options: Options, how: How = PLAIN) -> Created:
    """Make an archive as `create` does, announced first; if borg's exit was not seen, return the archive if it exists.

    A storage that cannot take the announcement does not prevent the backup. Raises what `create` raises.
    """
    _announce(session, app, options.archive)
    try:
        return create(repository, options, how)
    except CloudbackupError as error:
        if _ours_is_not_there(error):
            session.storage_of(app).withdraw(app, options.archive)
            raise
        # In a published repository only what was published is saved: the next backup does that first.
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
        return  # the backup's record, later, reports it


def _ours_is_not_there(error: CloudbackupError) -> bool:
    """Return whether borg itself said that there is no such archive of ours, or that it is not complete."""
    return isinstance(error, ContentError | IncompleteError) or (isinstance(error, BorgError) and error.msgid == EXISTS)


def _unheard(error: CloudbackupError) -> bool:
    """Return whether borg's exit was not seen: a connection was lost, the time limit passed, or a signal ended it."""
    return not isinstance(error, BorgError) or error.transient or error.result.code > SIGNALLED


def _look(session: Session, app: App, name: str) -> Archive | None:
    """Return the archive of this name; None if there is none or that is unknown: the announcement stays."""
    try:
        listing = archives(session.repository(app, Side.OPERATOR), how=ASKING)
    except CloudbackupError:
        return None
    return next((archive for archive in listing.archives if archive.name == name), None)


def _taken_over(app: App, found: Archive, error: CloudbackupError) -> Created:
    """Return the result for an archive that is only known from the listing."""
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
