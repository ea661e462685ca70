"""The main job over all apps: `backup`, `restore`, `verify`, `prune`, `check`, and what joins borg and MariaDB."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from tasks.cli import confirm, finish, task
from tasks.errors import UsageError
from tasks.fleet.options import (
    Backup,
    DatabaseVerify,
    Find,
    FleetCheck,
    FleetPrune,
    Restore,
    SourceBackup,
    SourceRestore,
    Verify,
)

if TYPE_CHECKING:
    from tasks.sources.base import Part


@task()
def backup(c: Context, options: Backup) -> None:
    """Back up every source of every app to its storage."""
    _backup(c, options, options.source)


@task(name="backup")
def mariadb_backup(c: Context, options: SourceBackup) -> None:
    """Back up the MariaDB servers alone: a whole physical backup each, streamed without a staging disk."""
    _backup(c, options, ["mariadb"])


@task(name="binlog")
def mariadb_binlog(c: Context, options: SourceBackup) -> None:
    """Archive the binary logs that are new, for restores to any moment; cheap enough for every five minutes."""
    _backup(c, options, ["binlog"])


def _backup(c: Context, options: SourceBackup, sources: Sequence[str]) -> None:
    import tasks.fleet.backup as fleet_backup
    from tasks.run.view import Telling

    telling = Telling(options.quiet, options.verbose, options.as_json)
    chosen = fleet_backup.Options(options.chosen, sources, options.part or None, options.parallel, telling)
    if options.dry_run:
        from tasks.json_output import refuse_json

        refuse_json(options.format, "--dry-run shows commands for people")
        fleet_backup.show(c.config.inventory, chosen)
    else:
        finish(fleet_backup.run(c.config.inventory, chosen))


@task()
def restore(c: Context, options: Restore) -> None:
    """Bring one app's data back: into a folder, or into place with the old data moved aside and kept."""
    _restore(c, options, options)


@task(name="restore")
def mariadb_restore(c: Context, options: SourceRestore) -> None:
    """Bring one app's MariaDB server back: into a folder, or into place with the old data kept, and started."""
    _restore(c, options, Restore(app=options.app, source=("mariadb",)))


def _restore(c: Context, options: SourceRestore, which: Restore) -> None:
    """Restore as `options` say, of `which` the sources and the paths."""
    import tasks.fleet.restore as fleet_restore

    chosen = fleet_restore.Options(
        options.app,
        which.source,
        options.archive,
        options.target or None,
        options.to or None,
        options.at or None,
        options.storage or None,
        which.path,
        _part(options),
        dry_run=options.dry_run,
        trusted=options.trust_archive,
    )
    finish(fleet_restore.run(c.config.inventory, chosen, lambda question: confirm(question, yes=options.yes)))


def _part(options: SourceRestore) -> "Part | None":
    """Return what is restored beside the live data; None for a whole restore. Raises UsageError."""
    from tasks.sources.base import Part

    if options.table or options.database:
        return Part(options.table, options.database, options.into, options.diff, options.missing_rows, options.replace)
    if options.into or options.diff or options.missing_rows or options.replace:
        raise UsageError("--into, --diff, --missing-rows and --replace are for --table", "give --table DATABASE.TABLE")
    return None


@task()
def find(c: Context, options: Find) -> None:
    """Show in which archives a file is, and its versions, newest first: `inv find app.conf`."""
    import tasks.fleet.find as fleet_find

    chosen = fleet_find.Options(options.pattern, options.chosen, options.format, options.checksum)
    finish(fleet_find.run(c.config.inventory, chosen))


@task()
def verify(c: Context, options: Verify) -> None:
    """Prove backups by a restore drill: databases are started and checked, files read back; nothing stays."""
    _verify(c, options, options)


@task(name="verify")
def mariadb_verify(c: Context, options: DatabaseVerify) -> None:
    """Prove database backups: restore each beside everything, start a private server on it, check every table."""
    _verify(c, options, Verify(source=("mariadb",)))


def _verify(c: Context, options: DatabaseVerify, which: Verify) -> None:
    """Drill as `options` say, of `which` the sources and the files."""
    import tasks.fleet.verify as fleet_verify
    from tasks.options import FOLDER
    from tasks.run.view import Telling

    least, share = fleet_verify.sample(which.sample)
    chosen = fleet_verify.Options(
        apps=options.chosen,
        sources=which.source,
        archive=options.archive,
        part=options.part or None,
        parallel=options.parallel,
        to=options.to or None,
        sample=None if which.all_ else least,
        share=share,
        folder=options.scratch or FOLDER,
        trust=options.trust_archive,
        telling=Telling(options.quiet, options.verbose, options.as_json),
    )
    finish(fleet_verify.run(c.config.inventory, chosen))


@task()
def prune(c: Context, options: FleetPrune) -> None:
    """Drop archives that `keep` does not keep, and free their space, unless a repository looks wrong."""
    import tasks.fleet.prune as fleet_prune
    from tasks.run.view import Telling

    chosen = fleet_prune.Options(
        options.chosen,
        options.source,
        options.part or None,
        options.parallel,
        dry_run=options.dry_run,
        force=options.force,
        telling=Telling(options.quiet, options.verbose, options.as_json),
    )
    finish(fleet_prune.run(c.config.inventory, chosen, lambda question: confirm(question, yes=options.yes)))


@task()
def check(c: Context, options: FleetCheck) -> None:
    """Check that each app's repository is whole, and holds what the records say. Repairs nothing."""
    import tasks.fleet.check as fleet_check
    from tasks.borg.client.check import CheckOptions
    from tasks.run.view import Telling

    depth = CheckOptions(
        options.repository_only, verify_data=options.verify_data, max_duration=options.max_duration or None
    )
    telling = Telling(options.quiet, options.verbose, options.as_json)
    chosen = fleet_check.Options(options.chosen, options.part or None, options.parallel, depth, telling)
    finish(fleet_check.run(c.config.inventory, chosen))
