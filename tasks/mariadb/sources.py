"""The sources of a MariaDB server: `mariadb`, full backups, and `binlog`, the binary logs that continue them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from tasks.borg.choice import Choices
from tasks.borg.client.list import Archive
from tasks.borg.client.runner import ContentError
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.mariadb import (
    archive_drill,
    archive_restore,
    binlog_source,
    binlogs,
    mariadb_source,
    part_restore,
    server_checks,
)
from tasks.mariadb.binlog_retention import needed_by_chain
from tasks.mariadb.recoverable import recoverable, recoverable_since
from tasks.records.record import Record
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources.base import Continuing, Drill, Finding, Part, Planned, Ready, Restorable, Unchanged
from tasks.sources.kinds import BINLOG, MARIADB


class MariaDB(Restorable):
    """A server, as a mariadb-backup stream."""

    kind = MARIADB
    file = mariadb_source.STREAM
    parts = True

    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Check what a backup and a restore need of the server."""
        return server_checks.findings(session, app)

    def recorded(self, app: App, records: Sequence[Record]) -> Iterator[Finding]:
        """Yield the chunk size of the archives."""
        return server_checks.recorded(app, records)

    def content(self, session: Session, app: App, archive: str) -> Ready:
        """Query the server; return its stream."""
        return mariadb_source.ready(session, app, archive)

    def explain(self, app: App, error: ContentError) -> CloudbackupError:
        """Return the fault of mariadb-backup or of the filter behind it."""
        return mariadb_source.explained(app, error)

    def plan(self, choices: Choices, archive: str, at: datetime | None) -> Planned:
        """Plan the restore of an archive; for a moment, of the backup and the binary logs that lead to it."""
        return archive_restore.plan(choices, archive, at)

    def plan_part(self, choices: Choices, archive: str, at: datetime | None, part: Part) -> Planned:
        """Plan the restore of a database or table beside the live one."""
        return part_restore.plan(choices, archive, at, part)

    def drill(self, drill: Drill) -> Outcome:
        """Start a private server on the archive and check every table."""
        return archive_drill.drilled(drill)


class Binlog(Continuing):
    """The server's new binary logs."""

    kind = BINLOG

    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Check where the server's binary logs are, and whether they can be archived."""
        found = binlogs.look(session.host(app), mariadb_source.access(app))
        yield "ok", f"binary logs in {found.directory}", ""

    def content(self, session: Session, app: App, archive: str) -> Ready | Unchanged:
        """Return the binary logs since the newest archived one."""
        return binlog_source.ready(session, app, archive)

    def explain(self, app: App, error: ContentError) -> CloudbackupError:
        """Return the fault of the client or the reader behind the binary logs."""
        return binlog_source.explained(app, error)

    def restored_by(self, app: App) -> str:
        """Return the command."""
        return f"`inv restore --app {app.name} --at TIME` brings a database to a moment"

    def needed(self, kept: Iterable[Archive], own: Iterable[Archive], since: datetime | None) -> Collection[str]:
        """Return the binary logs without which a kept backup could reach fewer moments."""
        return needed_by_chain(kept, own, since)

    def reaches(self, records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
        """Return up to which moment `restore --at` can bring the database."""
        return recoverable(records, listed)

    def begins(self, records: Sequence[Record], listed: frozenset[str]) -> datetime | None:
        """Return from when on every moment can be brought back."""
        return recoverable_since(records, listed)
