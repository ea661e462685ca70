"""`mariadb.dump`: databases, tables or rows of any backup, as SQL of the stock mariadb-dump or as CSV."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import UsageError
from tasks.mariadb import private_copy
from tasks.mariadb.archive_parts import Part
from tasks.mariadb.archive_server import ArchiveServer, Job
from tasks.mariadb.options import Dump
from tasks.mariadb.private_copy import say
from tasks.run import raw_output
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.terminal import printable

FORMATS = ("sql", "csv")
NAME = r"`(?:[^`\0]|``)+`|[^`.\0]+"
TABLE = re.compile(rf"({NAME})\.({NAME})")
# The copy is asked by nobody else. A dump has no DROP TABLE: loaded where the live table is, it would take that away.
ALWAYS = (
    "--skip-lock-tables",
    "--skip-add-drop-table",
    "--quick",
    "--hex-blob",
    "--default-character-set=utf8mb4",
)


def run(folder: str, options: Dump) -> int:
    """Write the dump; return the exit code, as `private_copy.remarks` does.

    Raises UsageError, RefusedError, AppError: what was written until then is not whole.
    """
    private_copy.require_format(options.format, *FORMATS)
    name, plan = ("csv", csv_plan(options)) if options.format == "csv" else ("dump", sql_plan(options))
    with Session(load(Path(folder))) as session, raw_output.whole(options.target) as receiver:
        copy = private_copy.found(session, options)
        with private_copy.explained(copy.app):
            request = copy.chosen.request(trust=copy.trust, part=_part(options))
            if options.table:
                say(request.read)
            server = ArchiveServer(copy.host, request, Job(name, plan, copy.folder))
            served = server.run(copy.chosen.choices.repository.time_limit, say, receiver.take, full=receiver.full)
        return private_copy.remarks(copy, served)


def _part(options: Dump) -> Part | None:
    """Return what is needed of an archive; None for all: views, routines and accounts may name any database."""
    if not options.table or options.grants or options.routines:
        return None
    tables = [parsed(each) for each in options.table]
    return Part(tables[0][0], [table for _, table in tables], own=True)  # what has no members may be a view


def parsed(text: str) -> tuple[str, str]:
    """Return the database and the table of DATABASE.TABLE, each plain or in backquotes. Raises UsageError."""
    found = TABLE.fullmatch(text)
    if not found:
        raise UsageError(f"--table {printable(text)} is not DATABASE.TABLE", "for example --table shop.orders")
    database, table = (plain(each) for each in found.groups())
    return database, table


def plain(name: str) -> str:
    """Return a name without its backquotes."""
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def quoted(*names: str) -> str:
    """Return a name, of several parts, as SQL."""
    return ".".join("`{}`".format(each.replace("`", "``")) for each in names)


def sql_plan(options: Dump) -> Mapping[str, Any]:
    """Return the runs of mariadb-dump. Raises UsageError."""
    if options.no_create and options.no_rows and not options.grants:
        raise UsageError("--no-create and --no-rows leave nothing", "give one of them, or --grants too")
    nothing = options.no_create and options.no_rows
    dumps = [] if nothing else [[*_words(options), *each] for each in _what(options)]
    return {"dumps": dumps, "events": options.events, "grants": options.grants}


def _words(options: Dump) -> list[str]:
    chosen = {
        "--no-create-info": options.no_create,
        "--no-data": options.no_rows,
        "--insert-ignore": options.insert_ignore,
        "--routines": options.routines,
        "--events": options.events,
    }
    words = [*ALWAYS, *(word for word, given in chosen.items() if given)]
    words.append("--triggers" if options.triggers else "--skip-triggers")
    return [*words, *([f"--where={options.where}"] if options.where else [])]


def _what(options: Dump) -> Sequence[Sequence[str]]:
    """Return databases and tables for each run; no database at all stands for all but the server's own."""
    if options.database and options.table:
        raise UsageError("--database and --table name two things", "give one of them")
    if options.database:
        return [["--", plain(options.database)]]
    tables = [parsed(each) for each in options.table]
    databases = list(dict.fromkeys(database for database, _ in tables))
    if len(databases) > 1:
        raise UsageError("the tables are of several databases", "dump each database's tables by a call of its own")
    return [["--", database, *(table for _, table in tables)] for database in databases] or [["--databases"]]


def csv_plan(options: Dump) -> Mapping[str, Any]:
    """Return the query of the rows of one table. Raises UsageError."""
    flags = (options.no_create, options.no_rows, options.insert_ignore)
    if options.database or len(options.table) != 1:
        raise UsageError("--format csv is of one table", "give --table DATABASE.TABLE once")
    if any((*flags, options.triggers, options.routines, options.events, options.grants)):
        raise UsageError("--format csv has rows alone", "leave out the options of SQL")
    where = f" WHERE {options.where}" if options.where else ""
    database, table = parsed(options.table[0])
    query = f"SELECT * FROM {quoted(database, table)}{where}"  # noqa: S608 (names quoted, the condition a person's own)
    return {"query": query, "database": database, "table": table}
