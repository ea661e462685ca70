"""The main job over all apps: `backup`, `restore`, `verify`, `prune`, `check`, and what joins borg and MariaDB."""

from typing import Any

from invoke.exceptions import Exit

from tasks.cli import APP_HELP, task

BACKUP_HELP = {
    "app": APP_HELP,
    "part": "I/N: only every N-th of these apps, beginning with the I-th, to spread a fleet over jobs or days",
    "parallel": "how many apps are worked on at a time; of one Storage Box never more than 8",
    "dry-run": "print what would run, secrets hidden, and change nothing",
    "quiet": "print only what is not well",
    "verbose": "print each step as it begins",
}
WALLS_HELP = "drill or restore a database also where no walls can be built: with the rights that you have there"
TRUST_HELP = (
    f"{WALLS_HELP}; of files let devices, setuid and setgid bits, capabilities and immutable flags come to another"
    " machine too"
)
RESTORE_HELP = {
    "app": "name of the app in the inventory",
    "archive": "any name that `borg.list` shows, or `latest`: the newest that a record knows",
    "target": "a new or empty folder to restore into, each of several sources into a folder in it; without it the data"
    " goes back to its place, the old moved aside",
    "to": "`local` restores on this machine, into --target; otherwise on the app's host",
    "at": "a moment: '2026-11-22 14:03:00' in this machine's zone, or with +01:00 or Z; wants `binlog: true`",
    "storage": "the storage to restore from, of an app that has several; the first that can be had unless given",
    "yes": "restore in place, or an archive that no record knows, without being asked",
    "trust-archive": TRUST_HELP,
}
VERIFY_HELP = {
    "app": APP_HELP,
    "archive": "any name that `borg.list` shows; the newest that a record knows unless given",
    "part": BACKUP_HELP["part"],
    "parallel": BACKUP_HELP["parallel"],
    "to": "`local` drills on this machine, the name of an app on that app's host, also when the app's own host is gone;"
    " without it each on its app's host",
    "scratch": "folder where a database is restored for the time of the drill; /var/tmp unless given",
    "trust-archive": WALLS_HELP,
    "quiet": BACKUP_HELP["quiet"],
    "verbose": BACKUP_HELP["verbose"],
}


@task(
    help={**BACKUP_HELP, "source": "files, mariadb or binlog; repeat it for several; none means all that an app has"},
    iterable=["app", "source"],
)
def backup(
    c: Any,
    app: Any = None,
    source: Any = None,
    part: str = "",
    parallel: int = 8,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Back up every source of every app to its storage."""
    _backup(c, (app, source, part, parallel), dry_run, quiet, verbose)


@task(help=BACKUP_HELP, iterable=["app"], name="backup")
def mariadb_backup(
    c: Any,
    app: Any = None,
    part: str = "",
    parallel: int = 8,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Back up the MariaDB servers alone: a whole physical backup each, streamed without a staging disk."""
    _backup(c, (app, ["mariadb"], part, parallel), dry_run, quiet, verbose)


@task(help=BACKUP_HELP, iterable=["app"], name="binlog")
def mariadb_binlog(
    c: Any,
    app: Any = None,
    part: str = "",
    parallel: int = 8,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Archive the binary logs that are new, for restores to any moment; cheap enough for every five minutes."""
    _backup(c, (app, ["binlog"], part, parallel), dry_run, quiet, verbose)


def _backup(c: Any, chosen: tuple[Any, Any, str, int], dry_run: bool, quiet: bool, verbose: bool) -> None:
    import tasks.fleet.backup as fleet_backup
    from tasks.run.view import Telling

    app, source, part, parallel = chosen
    telling = Telling(quiet, verbose)
    options = fleet_backup.Options(tuple(app or ()), tuple(source or ()), part or None, parallel, telling)
    if dry_run:
        fleet_backup.show(c.config.inventory, options)
        return
    code = fleet_backup.run(c.config.inventory, options)
    if code:
        raise Exit(code=code)


@task(
    help={
        **RESTORE_HELP,
        "source": "files or mariadb; none means all that the app has",
        "trust-archive": TRUST_HELP,
    },
    iterable=["source"],
)
def restore(
    c: Any,
    app: str,
    source: Any = None,
    archive: str = "latest",
    target: str = "",
    to: str = "",
    at: str = "",
    storage: str = "",
    yes: bool = False,
    trust_archive: bool = False,
) -> None:
    """Bring one app's data back: into a folder, or into place with the old data moved aside and kept."""
    _restore(c, app, source, (archive, storage), target, to, at, yes, trusted=trust_archive)


@task(help=RESTORE_HELP, name="restore")
def mariadb_restore(
    c: Any,
    app: str,
    archive: str = "latest",
    target: str = "",
    to: str = "",
    at: str = "",
    storage: str = "",
    yes: bool = False,
    trust_archive: bool = False,
) -> None:
    """Bring one app's MariaDB server back: into a folder, or into place with the old data kept, and started."""
    _restore(c, app, ["mariadb"], (archive, storage), target, to, at, yes, trusted=trust_archive)


def _restore(
    c: Any,
    app: str,
    source: Any,
    archive: tuple[str, str],
    target: str,
    to: str,
    at: str,
    yes: bool,
    trusted: bool = False,
) -> None:
    import tasks.fleet.restore as fleet_restore
    from tasks.cli import confirm

    name, storage = archive
    where = target or None, to or None, at or None, storage or None
    options = fleet_restore.Options(app, tuple(source or ()), name, *where, trusted=trusted)
    code = fleet_restore.run(c.config.inventory, options, lambda question: confirm(question, yes=yes))
    if code:
        raise Exit(code=code)


@task(
    help={
        **VERIFY_HELP,
        "source": "files or mariadb; repeat it for several; none means all that an app has",
        "sample": "how many files to read, or which share of them as 1%; up to half are new or changed ones, the others"
        " come in turn; 20 unless given",
        "all": "read all files of an archive",
    },
    iterable=["app", "source"],
)
def verify(
    c: Any,
    app: Any = None,
    source: Any = None,
    archive: str = "latest",
    part: str = "",
    parallel: int = 8,
    to: str = "",
    sample: str = "",
    all_: bool = False,
    scratch: str = "",
    trust_archive: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Prove backups by a restore drill: databases are started and checked, files read back; nothing stays."""
    told = {"quiet": quiet, "verbose": verbose}
    _verify(
        c, (app, source, part, parallel), (archive, to, scratch, trust_archive), told, sample=sample, everything=all_
    )


@task(help=VERIFY_HELP, iterable=["app"], name="verify")
def mariadb_verify(
    c: Any,
    app: Any = None,
    archive: str = "latest",
    part: str = "",
    parallel: int = 8,
    to: str = "",
    scratch: str = "",
    trust_archive: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Prove database backups: restore each beside everything, start a private server on it, check every table."""
    told = {"quiet": quiet, "verbose": verbose}
    _verify(c, (app, ["mariadb"], part, parallel), (archive, to, scratch, trust_archive), told)


def _verify(
    c: Any,
    chosen: tuple[Any, Any, str, int],
    drill: tuple[str, str, str, bool],
    told: dict[str, bool],
    sample: str = "",
    everything: bool = False,
) -> None:
    import tasks.fleet.verify as fleet_verify
    from tasks.run.view import Telling

    (app, source, part, parallel), (archive, to, scratch, trust) = chosen, drill
    least, share = fleet_verify.sample(sample)
    options = fleet_verify.Options(
        apps=tuple(app or ()),
        sources=tuple(source or ()),
        archive=archive,
        part=part or None,
        parallel=parallel,
        to=to or None,
        sample=None if everything else least,
        share=share,
        folder=scratch or fleet_verify.FOLDER,
        trust=trust,
        telling=Telling(**told),
    )
    code = fleet_verify.run(c.config.inventory, options)
    if code:
        raise Exit(code=code)


@task(
    help={
        "app": APP_HELP,
        "source": "files, mariadb or binlog; repeat it for several; none means all that `keep` speaks of",
        "part": BACKUP_HELP["part"],
        "parallel": BACKUP_HELP["parallel"],
        "dry-run": "show what would go and change nothing",
        "quiet": BACKUP_HELP["quiet"],
        "verbose": BACKUP_HELP["verbose"],
        "yes": "prune without being asked",
        "force": "go on although something looks wrong; the record says so, and what is there then counts as right",
    },
    iterable=["app", "source"],
)
def prune(
    c: Any,
    app: Any = None,
    source: Any = None,
    part: str = "",
    parallel: int = 4,
    dry_run: bool = False,
    yes: bool = False,
    force: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Drop archives that `keep` does not keep, and free their space, unless a repository looks wrong."""
    import tasks.fleet.prune as fleet_prune
    from tasks.cli import confirm
    from tasks.run.view import Telling

    chosen = tuple(app or ()), tuple(source or ()), part or None, parallel
    options = fleet_prune.Options(*chosen, dry_run=dry_run, force=force, telling=Telling(quiet, verbose))
    code = fleet_prune.run(c.config.inventory, options, lambda question: confirm(question, yes=yes))
    if code:
        raise Exit(code=code)


@task(
    help={
        "app": APP_HELP,
        "part": BACKUP_HELP["part"],
        "parallel": BACKUP_HELP["parallel"],
        "repository-only": "look at the repositories' segments alone",
        "verify-data": "read and decrypt all data as well: as slow as a full restore",
        "max-duration": "seconds after which a check of the segments stops; the next one goes on from there",
        "quiet": BACKUP_HELP["quiet"],
        "verbose": BACKUP_HELP["verbose"],
    },
    iterable=["app"],
)
def check(
    c: Any,
    app: Any = None,
    part: str = "",
    parallel: int = 4,
    repository_only: bool = False,
    verify_data: bool = False,
    max_duration: int = 0,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Check that each app's repository is whole, and holds what the records say. Repairs nothing."""
    import tasks.fleet.check as fleet_check
    from tasks.borg.client.check import CheckOptions
    from tasks.run.view import Telling

    depth = CheckOptions(repository_only, verify_data=verify_data, max_duration=max_duration or None)
    options = fleet_check.Options(tuple(app or ()), part or None, parallel, depth, Telling(quiet, verbose))
    code = fleet_check.run(c.config.inventory, options)
    if code:
        raise Exit(code=code)
