"""What `app.check` and `app.add` report about a server before a backup, and about its archives."""

from collections.abc import Iterator, Sequence

from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.mariadb import chunk_sizes, mariadb_source, option_files, restore, server
from tasks.mariadb.part_restore import Live
from tasks.mariadb.table_swap import REMAINS, remains
from tasks.records.record import Record
from tasks.run.session import Session
from tasks.sources.base import Finding
from tasks.units import size

COPIED = 10 << 20  # bytes in one pair of read and write, of which `throttle` says how many there are in a second


def findings(session: Session, app: App) -> Iterator[Finding]:
    """Query the server; yield level, text and remedy. Raises DatabaseError, and what `Host.run` raises."""
    asked = server.ask(session.host(app), mariadb_source.access(app))
    yield "ok", f"MariaDB {asked.version} answers {asked.account}, {size(asked.size)}", ""
    faults = server.faults(asked)
    for what, remedy in faults:
        yield "error", what, remedy
    if not faults:
        yield "ok", f"mariadb-backup {asked.tools.backup}", ""
    if app.mariadb and app.mariadb.throttle:
        yield "ok", f"mariadb-backup reads at most {size(app.mariadb.throttle * COPIED)}/s, as `throttle` says", ""
    yield from _options(app, asked)
    if not asked.tools.mbstream:
        yield "warning", "mbstream is missing", "a restore needs it: it is in mariadb-backup"
    for what, remedy in remains(Live(session.host(app), mariadb_source.access(app), "").ask(REMAINS)):
        yield "warning", what, remedy
    yield from _in_place(session, app, asked)


def _in_place(session: Session, app: App, asked: server.Server) -> Iterator[Finding]:
    """Yield what would prevent a restore in place."""
    host, way = session.host(app), mariadb_source.access(app)
    folder = way.database.datadir or (None if way.database.exec else asked.datadir)
    try:
        if folder:
            restore.require_own(host, way, folder)
    except RefusedError as error:
        what = error.what.removeprefix(f"{host.name}: ")
        yield "warning", f"no restore in place: {what}", error.remedy
    elsewhere = server.elsewhere(asked.variables)
    if elsewhere:
        named = ", ".join(f"{name} is {path}" for name, path in elsewhere.items())
        remedy = "it can be restored to a directory only"
        yield "warning", f"keeps data outside of its data directory: {named}", remedy


def _options(app: App, asked: server.Server) -> Iterator[Finding]:
    assert app.mariadb is not None
    if given := option_files.overridden(asked.tools.given):
        text = f"an option file has mariadb-backup {', '.join(given)}: backups override that"
        yield "warning", text, option_files.REMEDY
    if app.mariadb.checkpoint and not asked.checkpoints:
        remedy = "optional: GRANT SUPER ON *.* to it, or `checkpoint: false` in the app's file (docs/mariadb.md)"
        text = "the account lacks SUPER: backups are a little larger, as changed pages are not written to disk first"
        yield "warning", text, remedy
    if asked.replica is None and asked.variables.get("gtid_slave_pos"):
        remedy = "GRANT SLAVE MONITOR ON *.* saves the position in the master's binary log with each backup"
        yield "warning", "looks like a replica, and the account may not ask it", remedy
    if app.mariadb.safe_slave_backup and asked.grants.isdisjoint(
        {"REPLICATION SLAVE ADMIN", "SUPER", "ALL PRIVILEGES"}
    ):
        remedy = "GRANT REPLICATION SLAVE ADMIN ON *.* TO it, or take `safe_slave_backup` out"
        yield "error", "`safe_slave_backup` stops the replica, and the account may not", remedy


def recorded(app: App, records: Sequence[Record]) -> Iterator[Finding]:
    """Yield the chunk size of the database's archives, from the newest record."""
    for record in reversed(records):
        used = record.details.get("chunk_size")
        if record.source != mariadb_source.SOURCE or not isinstance(used, int):
            continue
        text = f"the database is saved in chunks of {used // chunk_sizes.KIB} KiB"
        wanted = app.mariadb.chunk_size if app.mariadb else None
        if wanted not in (None, used):
            text = (
                f"{text}, the inventory says {wanted // chunk_sizes.KIB} KiB: the next backup stores everything again"
            )
            yield "warning", text, "take `chunk_size` out unless that is meant"
        else:
            memory = size(chunk_sizes.memory(record.size or 0, used))
            yield "ok", f"{text}, for which borg takes {memory} of memory", ""
        return
