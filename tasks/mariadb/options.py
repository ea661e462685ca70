"""Options of the tasks on a private server."""

from dataclasses import dataclass

from tasks.cli import flag, option
from tasks.options import FOLDER, OneApp

TRUST_HELP = "also where no walls can be built: what comes out of the archive has the rights that you have there"


@dataclass(frozen=True, kw_only=True)
class FromArchive(OneApp):
    """A private server on a backup of an app."""

    archive: str = option(
        "any name that `borg.list` shows; `latest`: the newest that a record knows; or a moment, as yesterday:"
        " the newest good one from before it",
        "latest",
    )
    at: str = option(
        "a moment instead: '2026-11-22 14:03:00' in this machine's zone, or with +01:00 or Z; needs `binlog: true`", ""
    )
    to: str = option("`local` serves it on this machine, `host` on the app's host", "host")
    storage: str = option("the storage to read, of an app that has several; the first that answers unless given", "")
    scratch: str = option(f"folder in which the copy lies meanwhile; {FOLDER} unless given", "")
    trust_archive: bool = flag(TRUST_HELP)


@dataclass(frozen=True, kw_only=True)
class Open(FromArchive):
    """A private server to ask."""

    query: str = option("one SQL statement: its answer is printed, and the server ends", "")
    format: str = option("of --query: table, csv or json", "table")
    for_: str = option("how long the server stays at most: 30m, 2h, 1d", "2h")


@dataclass(frozen=True, kw_only=True)
class Dump(FromArchive):
    """A dump of a part of a backup, or of all of it."""

    database: str = option("the database to dump; all of the app's own unless this or --table is given", "")
    table: tuple[str, ...] = option("DATABASE.TABLE to dump; repeat it for several", ())
    where: str = option("only rows for which this SQL condition holds", "")
    format: str = option("sql, or csv of one table", "sql")
    target: str = option("a new file on this machine, made when the dump is complete; standard output unless given", "")
    no_create: bool = flag("rows alone, without CREATE TABLE")
    no_rows: bool = flag("CREATE TABLE alone, without rows")
    insert_ignore: bool = flag("INSERT IGNORE: loading it leaves rows alone that are there")
    triggers: bool = flag("the tables' triggers as well")
    routines: bool = flag("stored procedures and functions as well")
    events: bool = flag("scheduled events as well")
    grants: bool = flag("accounts and roles as well, with password hashes and rights; alone with --no-create --no-rows")
