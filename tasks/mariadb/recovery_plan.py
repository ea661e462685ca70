"""`restore --at`: which full backup and which archives of binary logs lead to a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tasks.borg.client.extract import content
from tasks.borg.client.list import Archive, Listing, find
from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.mariadb import binlog_source
from tasks.mariadb.binlog_retention import CLOCK_STEP
from tasks.mariadb.binlogs import Saved
from tasks.mariadb.point_in_time import Moment, Position, Recovered
from tasks.mariadb.recoverable import POSITION, Moments, ended
from tasks.records.record import Record
from tasks.run.session import Session
from tasks.storage.repository import Repository
from tasks.times import moment_example, parse_moment, shown
from tasks.units import many

SOURCE = "mariadb"
ALL = 1_000_000  # records: the position of an old backup matters as much as that of the newest
CLOCKS_DIFFER = timedelta(seconds=5)  # the server's clock may be ahead of the second in which borg began


@dataclass(frozen=True)
class Target:
    """The target: a moment, from the named archive or, for `latest`, from the newest full backup before it."""

    at: datetime
    archive: str = "latest"


@dataclass(frozen=True)
class Planned:
    """The full backup to start from, and the moment to reach; None if the backup ends exactly there."""

    base: Archive
    moment: Moment | None


def moment(text: str) -> datetime:
    """Parse the moment to which a database is brought; logs have whole seconds. Raises UsageError."""
    time = parse_moment(text, "--at")
    if time.microsecond:
        raise UsageError(f"--at {text!r} is not in whole seconds", moment_example("--at"))
    return time


def planned(session: Session, repository: Repository, listing: Listing, app: App, target: Target) -> Planned:
    """Return the full backup to start from, and the moment with the binary logs that lead to it.

    Raises UsageError, RefusedError.
    """
    _require_binlogs(app, listing)
    known = _Known(session, app, listing)
    base = _base(app, listing, known, target)
    reach = known.moments.reach(base.id)
    if reach is not None and reach.why and reach.until < target.at:
        raise RefusedError(
            f"{app.name}: {shown(target.at)} cannot be reached by {base.name}, only {shown(reach.until)}: {reach.why}",
            "a newer whole backup may do: --archive",
        )
    if reach is not None and target.at <= reach.until and not reach.saved:
        return Planned(base, None)
    logs = _logs(app, listing, base, target.at)
    if not logs and (reach is None or reach.until < target.at):
        raise RefusedError(
            f"{app.name}: no binary logs were saved since {base.name}", f"`inv mariadb.binlog --app {app.name}`"
        )
    saved = Saved.parse(reach.saved) if reach is not None and reach.saved else known.saved
    return Planned(
        base,
        Moment(
            at=target.at,
            logs=[content(repository, each.name, binlog_source.STREAM) for each in logs],
            position=known.position(base),
            saved=saved,
            options=known.options,
            zone=known.zone,
            server=known.details(base),
            older=_older(app, listing, known, base),
        ),
    )


def told(recovered: Recovered, base: str, at: datetime) -> list[str]:
    """Describe what was reached."""
    newest = f", the newest of {shown(recovered.newest)}" if recovered.newest else ""
    lines = [
        f"as it was at {shown(at)}: {base} and {many(recovered.transactions, 'transaction')} after it{newest}",
        f"up to {recovered.file}:{recovered.offset}, GTID state {recovered.state or 'empty'}",
    ]
    if recovered.odd:
        lines.append(f"{recovered.odd} of them carry a date of their own (SET timestamp); they are in")
    if recovered.after:
        lines.append(
            f"not in: {many(recovered.after, 'transaction')} that began before that moment and were written after it"
        )
    return lines


def _require_binlogs(app: App, listing: Listing) -> None:
    if app.mariadb is None:
        raise UsageError(f"{app.name} has no `mariadb`, so --at has nothing to go by", "leave --at out")
    if not app.mariadb.binlog and not listing.of(app.names, binlog_source.SOURCE):
        raise RefusedError(
            f"{app.name}: binary logs are not saved, so there are whole backups and no moment between",
            "leave --at out; `binlog: true` in the inventory saves them from now on",
        )


def _base(app: App, listing: Listing, known: "_Known", target: Target) -> Archive:
    if target.archive != "latest":
        named = find(listing, app.names, SOURCE, target.archive)
        if named is None:
            raise UsageError(
                f"{app.name} has no archive {target.archive}", f"`inv borg.list --app {app.name}` shows them"
            )
        return named
    bases = sorted(listing.of(app.names, SOURCE), key=_start)
    before = [each for each in bases if known.end(each) <= target.at]
    reaching = [each for each in before if (to := known.moments.reach(each.id)) and target.at <= to.until]
    if not before:
        oldest = f"the oldest whole backup ended {shown(known.end(bases[0]))}" if bases else "there is no whole backup"
        raise RefusedError(f"{app.name}: {shown(target.at)} cannot be reached: {oldest}")
    return (reaching or before)[-1]


def _older(app: App, listing: Listing, known: "_Known", base: Archive) -> str:
    """Return the name of the previous backup, if binary logs lead from it past this one; else empty."""
    older = [each for each in listing.of(app.names, SOURCE) if known.end(each) < base.start]
    reaching = [each for each in older if (to := known.moments.reach(each.id)) and to.until >= known.end(base)]
    return max(reaching, key=_start).name if reaching else ""


def _logs(app: App, listing: Listing, base: Archive, at: datetime) -> list[Archive]:
    """Return the archives that may contain what was written between backup and moment, including the one after it."""
    logs = sorted(listing.of(app.names, binlog_source.SOURCE), key=_start)
    logs = [each for each in logs if each.start >= base.start - CLOCK_STEP]
    after = next((number for number, each in enumerate(logs) if each.start >= at + CLOCKS_DIFFER), len(logs))
    return logs[: after + 1]


class _Known:
    """The records of the app's backups; a restore works without them if they cannot be read."""

    def __init__(self, session: Session, app: App, listing: Listing) -> None:
        storage = session.storage_of(app)
        try:
            self._bases = storage.read_records(app, ALL, (f"backup-{SOURCE}", "backup")).all
            self._logs = storage.read_records(app, only=binlog_source.KINDS).all
        except AppError:
            self._bases = self._logs = ()
        self.moments = Moments((*self._bases, *self._logs), frozenset(each.id for each in listing.archives))
        saved = binlog_source.saved_of(self._logs)
        self.saved = saved[-1] if saved else None
        about = [
            each.details[binlog_source.DETAILS]
            for each in self._logs
            if "zone" in each.details.get(binlog_source.DETAILS, {})
        ]
        self.options = {str(name): str(value) for name, value in about[-1]["options"].items()} if about else {}
        self.zone = str(about[-1]["zone"]) if about else ""

    def position(self, base: Archive) -> Position | None:
        """Return the position at which a backup ends."""
        record = self._of(base)
        return Position.parse(record.details.get(POSITION)) if record else None

    def details(self, base: Archive) -> Mapping[str, Any]:
        """Return the details of a backup's record; empty if there is none."""
        record = self._of(base)
        return record.details if record else {}

    def end(self, base: Archive) -> datetime:
        """Return when a backup's copy ended; if unknown, when it began."""
        record = self._of(base)
        return ended(record) if record else base.start

    def _of(self, base: Archive) -> Record | None:
        return next((each for each in self._bases if each.archive_id == base.id), None)


def _start(archive: Archive) -> datetime:
    return archive.start
