"""The source `mariadb`: what must be known before a server is backed up, and how its stream becomes an archive."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from tasks.borg.client.create import Created, StreamOptions
from tasks.borg.client.errors import explain
from tasks.borg.client.list import Archive, look_up
from tasks.borg.client.messages import read_messages
from tasks.borg.client.runner import ContentError
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.models import App
from tasks.mariadb import binlogs, chunk_sizes, damage, errors, server, unpack
from tasks.mariadb.access import Access
from tasks.mariadb.dump import DumpOptions, dump, positions
from tasks.mariadb.host import members, tables
from tasks.mariadb.host.tables import Known
from tasks.mariadb.recoverable import POSITION, REPLICATED
from tasks.mariadb.server import Server
from tasks.records.verdict import Verdict
from tasks.remote.secret import resolve
from tasks.run.session import Session
from tasks.sources.base import Learnt, Ready
from tasks.storage.repository import Repository, Side
from tasks.units import many, size

SOURCE = "mariadb"
STREAM = members.FOLDER.decode()  # the only file or folder in an archive of a server
TABLES = "tables"  # key in a record's details: the tables expected in the archive
VERSION = "MariaDB "  # prefix of the server's version in an archive's comment
FEW, ALL = 3, 1_000_000  # records to read
NAMED = 5  # tables named in a message
NOT_SAVED = "only its definition is in the archive, as of all tables of"
ELSEWHERE = (
    "their data is in other files or on other servers, which no backup of this one holds; save it there, or list the"
    " tables under `mariadb.elsewhere`"
)
CHUNKS = "chunks="  # prefix of the chunk size in bytes in an archive's comment


def access(app: App) -> Access:
    """Return how to reach the app's server, with its password. Raises UsageError."""
    database = app.mariadb
    assert database is not None
    if database.password is None:
        return Access(database)
    return Access(database, resolve(database.password, f"the database password of {app.name}"))


def ready(session: Session, app: App, archive: str) -> Ready:
    """Return what borg should save of the app's server.

    Raises DatabaseError if the server does not answer or mariadb-backup cannot read it.
    """
    host = session.host(app)
    way = access(app)
    asked = server.ask(host, way)
    server.require_backup(asked, host.name)
    chunk_size = chunk_size_of(session, app, asked)
    options = StreamOptions(
        archive=archive,
        content=dump(way, asked.tools, _how(asked, chunk_size)),
        chunk_size=chunk_size,
        compression=app.compression,
        comment=f"{VERSION}{asked.version} {CHUNKS}{chunk_size}",
    )
    warnings = _outgrown(asked, chunk_size, host.facts().memory_available)

    def learnt(created: Created) -> Learnt:
        standing = _positions(session, app, positions(created.said), binlogs.unlogged(asked.variables))
        held, said = judged(app, asked, created.said)
        return Learnt({**standing, **asked.details, **held}, (*warnings, *said))

    return Ready(options, learnt)


def _how(asked: Server, chunk_size: int) -> DumpOptions:
    replica, galera = bool(asked.replica), asked.galera
    return DumpOptions(chunk_size, replica=replica, galera=galera, datadir=asked.datadir, login=asked.login)


def judged(app: App, asked: Server, said: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the tables expected in the archive, for the record; the verdict on what it lacks; and that in words.

    Tables whose data is in no backup of the server are lacking as well, unless the inventory lists them. If the
    server's tables could not be listed, it is unknown whether any are missing: such an archive is suspect.
    """
    harm, found = _heard(said)
    held = tables.held(found, asked.unopened) if found else Known({}, ())
    told = [f"{tables.readable(name)}: {damage.shown(pages)} on the server" for name, pages in harm.items()]
    gone = [f"{tables.readable(name)}: left out by mariadb-backup" for name in (found.first if found else ())]
    far = _elsewhere(app, held)
    first = (*told, *gone, *(f"{name}: {NOT_SAVED} {engine}" for name, engine in far.items()))
    verdict = Verdict(len(harm) + (found.missing if found else 0) + len(far), first)
    if found and found.missing:
        named = ", ".join(map(tables.readable, found.first[:NAMED]))
        verb = "is" if found.missing == 1 else "are"
        told.append(f"{many(found.missing, 'table')} of the server {verb} not in the archive: {named}")
    if far:
        told.append(f"{', '.join(list(far)[:NAMED])}: {ELSEWHERE}")
    if found is None:
        why = "the tables of the server could not be listed, so nobody knows whether all of them are in the archive"
        verdict = replace(verdict, suspect=(why,))
        told.append(why)
    known = {TABLES: held._replace(damaged=harm).details()} if found or harm else {}
    return {**known, **verdict.details}, tuple(told)


def _elsewhere(app: App, held: Known) -> dict[str, str]:
    """Return the tables whose data is not in the archive and that the inventory does not list, with their engines."""
    listed = app.mariadb.elsewhere if app.mariadb else ()
    named = {tables.readable(name): engine for name, engine in held.elsewhere.items()}
    return {name: engine for name, engine in named.items() if not any(fnmatchcase(name, pattern) for pattern in listed)}


def _heard(said: Sequence[str]) -> tuple[dict[str, list[int]], tables.Compared | None]:
    """Return the damaged pages and the comparison of tables from the filter's report; None for either if invalid."""
    try:
        return damage.heard(said), tables.compared(said)
    except ValueError:
        return {}, None


def _outgrown(asked: Server, chunk_size: int, memory_available: int | None) -> tuple[str, ...]:
    """Return the message for a database that has outgrown its chunk size, which is kept nevertheless."""
    if not chunk_sizes.outgrown(asked.size, chunk_size, memory_available):
        return ()
    needed, kib = size(chunk_sizes.memory(asked.size, chunk_size)), chunk_size // chunk_sizes.KIB
    what = f"in chunks of {kib} KiB borg needs {needed} of memory for this database, more than twice"
    remedy = "set mariadb.chunk_size to a larger one (the next backup then stores everything again)"
    return (f"{what} what is meant for it: {remedy}",)


def _positions(session: Session, app: App, told: Mapping[str, str], replicated: str) -> dict[str, Any]:
    """Return the backup's positions for its record: in the binary log, as a replica of a master, in a Galera cluster.

    `replicated` is as in `binlogs.unlogged`.
    """
    found: dict[str, Any] = standing(told.get("slave_info", ""), told.get("galera_info", ""))
    name, offset, gtid = (*told.get("binlog_info", "").split("\t"), "", "", "")[:3]
    if name and offset.isdigit():
        more = {REPLICATED: replicated} if replicated else {}
        identity = _identity(session, app, name)
        found[POSITION] = {"name": name, "offset": int(offset), "gtid": gtid, **identity, **more}
    return found


def standing(replica: str, galera: str) -> dict[str, Any]:
    """Return a server's position as a replica and as a Galera node, if it was one, for a record."""
    return {name: text for name, text in (("replication", replica), ("galera", galera)) if text}


def _identity(session: Session, app: App, name: str) -> dict[str, int]:
    """Return server and creation time of a binary log, whose name is reused after a restore. Empty if unknown."""
    if app.mariadb is None or not app.mariadb.binlog:
        return {}
    try:
        found = binlogs.look(session.host(app), access(app), name).last
    except errors.DatabaseError:
        return {}
    return {"server": found.server, "created": found.created} if found else {}


def chunk_size_of(session: Session, app: App, asked: Server) -> int:
    """Return the chunk size of the app's archives: from the inventory, else the one used so far, else one for the data.

    With a size other than the earlier archives', the whole database would be stored again.
    """
    database = app.mariadb
    assert database is not None
    if database.chunk_size is not None:
        return database.chunk_size
    used = _used(session, app)
    return used or chunk_sizes.choose(asked.size, session.host(app).facts().memory_available)


def _used(session: Session, app: App) -> int | None:
    """Return the chunk size of the newest archive; None if there is none.

    It is read from the record, since starting borg costs half a second; without a record, from the archive's comment.
    """
    try:
        records = session.storage_of(app).read_records(app, 1, (f"backup-{SOURCE}",)).all
    except AppError:
        records = ()
    told = records[-1].details.get("chunk_size") if records else None
    if isinstance(told, int):
        return told
    archive = look_up(session.repository(app, Side.HOST), app.names, SOURCE)
    comment = archive.comment if archive else None
    words = [word for word in (comment or "").split() if word.startswith(CHUNKS)]
    return int(words[0].removeprefix(CHUNKS)) if words else None


def remembered(session: Session, app: App, archive: Archive) -> Mapping[str, Any]:
    """Return the details of the record of an archive's backup; empty if there is none or it cannot be read."""
    for count in (FEW, ALL):  # nearly always it is one of the newest
        try:
            records = session.storage_of(app).read_records(app, count, (f"backup-{SOURCE}", "backup")).all
        except AppError:
            return {}
        found = next((each.details for each in records if each.archive_id == archive.id), None)
        if found is not None:
            return found
    return {}


def version(repository: Repository, archive: Archive) -> str:
    """Return the version of the saved server; empty if the archive does not have it. Raises BorgError.

    If the archive was listed without its comment, borg is queried for it.
    """
    whole = archive if archive.comment is not None else look_up(repository, (), SOURCE, archive.name)
    said = whole.comment or "" if whole else ""
    return server.number(said) if said.startswith(VERSION) else ""


def explained(app: App, error: ContentError) -> CloudbackupError:
    """Return the fault of mariadb-backup or the filter behind a failed content command."""
    return errors.error("\n".join(error.result.other_lines), f"{app.name}: no backup of the server")


def unread(app: App, error: unpack.ContentError) -> CloudbackupError:
    """Return borg's fault if an archive's content could not be read."""
    explanation = explain(read_messages(error.said))
    return AppError(f"{app.name}: {explanation.what}", explanation.remedy) if explanation else error
