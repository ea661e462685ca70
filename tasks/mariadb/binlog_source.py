"""The source `binlog`: whether there is anything new, and what a new archive of binary logs continues."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.borg.client.create import Created, StreamOptions
from tasks.borg.client.runner import ContentError
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.models import App
from tasks.mariadb import binlogs, errors, mariadb_source, recoverable
from tasks.mariadb.binlogs import Identity, Look, Saved
from tasks.records.record import UNCHANGED, Record
from tasks.run.session import Session
from tasks.sources.base import Learnt, Ready, Unchanged

SOURCE = "binlog"
STREAM = "binlog.tar"  # the only file in an archive of binary logs
DETAILS = recoverable.BINLOG  # key of their data in a record's details
KINDS = (f"backup-{SOURCE}", f"{UNCHANGED}-{SOURCE}")
FEW = 3  # newest records of each kind, one of which nearly always suffices


def ready(session: Session, app: App, archive: str) -> Ready | Unchanged:
    """Return what borg should save of the app's binary logs. No log is closed before borg reads the stream.

    Raises DatabaseError if the server does not answer or its binary logs cannot be archived; AppError if the records
    cannot be read.
    """
    way = mariadb_source.access(app)
    saved = newest(session, app)
    look = binlogs.look(session.host(app), way, saved.last.name if saved else None)
    if saved is not None and look.unchanged(saved):
        return Unchanged({DETAILS: replace(saved, until=look.now, replicated=look.replicated).details()})
    after = saved.last.name if saved is not None and look.last == saved.last else ""
    options = StreamOptions(
        archive=archive, content=binlogs.archive(way, look.directory, after), name=STREAM, compression=app.compression
    )
    return Ready(options, lambda created: _learnt(session, app, _Before(saved, look), created))


def newest(session: Session, app: App) -> Saved | None:
    """Return the state of the archived binary logs from the newest record that has it. Raises AppError."""
    storage = session.storage_of(app)
    for count in (FEW, None):
        records = storage.read_records(app, only=KINDS, **({"newest": count} if count else {}))
        found = saved_of(records.all)
        if found:
            return found[-1]
    return None


def saved_of(records: Iterable[Record]) -> list[Saved]:
    """Return the states of archived binary logs in the records, in order."""
    sound = (each for each in records if each.source == SOURCE and each.outcome != "failed")
    return [saved for each in sound if (saved := Saved.parse(each.details.get(DETAILS)))]


@dataclass(frozen=True)
class _Before:
    """What was known before the archive was made."""

    saved: Saved | None
    look: Look


def _learnt(session: Session, app: App, before: _Before, created: Created) -> Learnt:
    saved, look = before.saved, before.look
    told = binlogs.told(created.said)
    if told is None or not told[1]:
        return Learnt(
            warnings=(f"the host did not describe the binary logs in {created.archive}; the next archive has them too",)
        )
    until, files = told
    now, breaks = binlogs.joined(saved, until, files)
    now = replace(now, replicated=look.replicated)
    remedy = "no moment between can be restored"
    if breaks and not _based(session, app, now):
        remedy += f"; make a new backup: `inv mariadb.backup --app {app.name}`"
    about = {"files": len(files), "first": files[0].identity.name, "options": dict(look.options), "zone": look.zone}
    details = {DETAILS: {**now.details(), **about}}
    said = [f"{why}; {remedy}" for why in breaks]
    if look.replicated and saved is not None and look.replicated != saved.replicated:
        said.append(recoverable.UNLOGGED)
    return Learnt(details, tuple(said))


def _based(session: Session, app: App, now: Saved) -> bool:
    """Return whether the chain of binary logs that begins after a break continues the newest full backup.

    That is so after a restore in place, if a backup was made just before the run that archives the new binary logs.
    """
    try:
        records = session.storage_of(app).read_records(app, 1, (f"backup-{mariadb_source.SOURCE}",)).all
    except AppError:
        return False
    stands = Identity.parse(_at(records[-1])) if records and records[-1].outcome != "failed" else None
    return stands is not None and stands.server == now.chain.server and stands.created >= now.chain.created


def _at(record: Record) -> object:
    return record.details.get(recoverable.POSITION)


def explained(app: App, error: ContentError) -> CloudbackupError:
    """Return the fault of the client or the reader behind a failed content command."""
    return errors.error("\n".join(error.result.other_lines), f"{app.name}: no binary logs were saved")
