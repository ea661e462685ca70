"""Options of the tasks that work on all apps."""

from dataclasses import dataclass

from tasks.cli import argument, flag, option
from tasks.options import PARALLEL_HELP, Checks, Fleet, OneApp, Prune, Shown, ShownApps

SLOW = 4  # apps at a time, for tasks that put a heavy load on a storage
WALLS_HELP = "drill or restore a database also where no walls can be built: with the rights that you have there"


@dataclass(frozen=True, kw_only=True)
class SourceBackup(Fleet, Shown):
    """A backup of one source of the apps."""

    dry_run: bool = flag(
        "show what would be saved and change nothing; with --verbose what would run too, secrets hidden"
    )


@dataclass(frozen=True, kw_only=True)
class Backup(SourceBackup):
    """A backup."""

    source: tuple[str, ...] = option(
        "files, mariadb, binlog, dumps or one dump by its name; repeat it for several; none means all that an app has",
        (),
    )


@dataclass(frozen=True, kw_only=True)
class SourceRestore(OneApp):
    """A restore of one source of an app."""

    archive: str = option(
        "any name that `borg.list` shows; `latest`: the newest that a record knows; or a moment, as yesterday or"
        " '2026-11-22 14:03': the newest good one from before it",
        "latest",
    )
    target: str = option(
        "a new or empty folder to restore into, each of several sources into a folder in it; `-` writes one dump to"
        " standard output; without it the data goes back to its place, the old moved aside",
        "",
    )
    to: str = option(
        "`local` restores on this machine, into --target; the name of another app restores files on that app's host,"
        " into the same paths there or into --target, and with --table or --database into its server; otherwise on the"
        " app's own host",
        "",
    )
    at: str = option(
        "a moment: '2026-11-22 14:03', 14:03, 'yesterday 14:03' or '3 hours ago', in this machine's zone or with +01:00"
        " or Z; a database is brought exactly there, which needs `binlog: true`; of files the newest good archive from"
        " before it is taken",
        "",
    )
    storage: str = option(
        "the storage to restore from, of an app that has several; the first that can be had unless given", ""
    )
    table: str = option("DATABASE.TABLE: only this table, into another database of the live server, which goes on", "")
    database: str = option("only the tables of this database, into another one of the live server, which goes on", "")
    into: str = option("that other database, a new one; DATABASE_restored unless given", "")
    diff: bool = flag("with --table: only count rows that are in the backup alone, in the live table alone, or differ")
    missing_rows: bool = flag("with --table: put rows that are gone back into the live table, and change no other")
    replace: bool = flag("with --table: put it in the live table's place, which is kept under another name")
    dry_run: bool = flag("show which archive would come back, how much of it and where, and change nothing")
    yes: bool = flag("restore in place, or an archive that no record knows, without being asked")
    trust_archive: bool = flag(
        f"{WALLS_HELP}; of files let devices, setuid and setgid bits, capabilities and immutable flags come to another"
        " machine too",
    )


@dataclass(frozen=True, kw_only=True)
class Restore(SourceRestore):
    """A restore."""

    source: tuple[str, ...] = option(
        "files, mariadb, dumps or one dump by its name; none means all that the app has", ()
    )
    path: tuple[str, ...] = option(
        "only this file, or this folder and all below it, as on the host: /etc/shop/app.conf; or a pattern in quotes:"
        " '/etc/shop/*.conf'; repeat it for several",
        (),
    )


@dataclass(frozen=True, kw_only=True)
class DatabaseVerify(Fleet, Shown):
    """Drills of databases."""

    archive: str = option(
        "any name that `borg.list` shows, or a moment, as yesterday or '2026-11-22 14:03': the newest good one from"
        " before it; the newest that a record knows unless given",
        "latest",
    )
    to: str = option(
        "`local` drills on this machine, the name of an app on that app's host, also when the app's own host is gone;"
        " without it each on its app's host",
        "",
    )
    scratch: str = option("folder where a database is restored for the time of the drill; /var/tmp unless given", "")
    trust_archive: bool = flag(WALLS_HELP)


@dataclass(frozen=True, kw_only=True)
class Verify(DatabaseVerify):
    """Drills."""

    source: tuple[str, ...] = option(
        "files, mariadb, dumps or one dump by its name; repeat it for several; none means all that an app has", ()
    )
    sample: str = option(
        "how many files to read, or which share of them as 1%; up to half are new or changed ones, the others"
        " come in turn; 20 unless given",
        "",
    )
    all_: bool = flag("read all files of an archive")


@dataclass(frozen=True, kw_only=True)
class Find(ShownApps):
    """Options of `find`."""

    pattern: str = argument(
        "a name, with folders before it or not (app.conf, shop/app.conf), a whole path (/etc/shop/app.conf), or a"
        " pattern in quotes: '*.conf', '/srv/**/*.sql'"
    )
    checksum: bool = flag("tell versions apart by SHA-256 as well: reads the data of these files from each archive")


@dataclass(frozen=True, kw_only=True)
class FleetPrune(Prune, Fleet, Shown):
    """Pruning all apps."""

    source: tuple[str, ...] = option(
        "files, mariadb, binlog, dumps or one dump by its name; repeat it for several; none means all that"
        " `keep` speaks of",
        (),
    )
    parallel: int = option(PARALLEL_HELP, SLOW)


@dataclass(frozen=True, kw_only=True)
class FleetCheck(Checks, Fleet, Shown):
    """Checking all apps."""

    repository_only: bool = flag("look at the repositories' segments alone")
    parallel: int = option(PARALLEL_HELP, SLOW)
