"""Borg's own verbs on the repositories of apps.

    a verb's words -> runner (environment, script, host) -> messages, failures -> a frozen result

One module for each verb; `runner` runs them all, `failures` puts borg's errors into a person's words, `versions` knows
where borg 1.2 and 1.4 differ. `in_place` is the part of a restore that runs on the host.
"""

from collections.abc import Iterator
from typing import Any

from tasks.cli import APP_HELP, confirm, task

ONE_APP_HELP = "name of the app in the inventory"
ARCHIVE_HELP = (
    "name of an archive, or `latest`: the newest that a record knows of the files (of the database, without files)"
)
STORAGE_HELP = "the storage, of an app that has a repository in several"
TRUST_HELP = "restore devices, setuid and setgid bits, capabilities and immutable flags as well"
FORCE_HELP = "go on although something looks wrong; the record says so, and what is there then counts as right"
PATH_HELP = "only this path and what is below it; repeat it for several"


@task(name="init", help={"app": APP_HELP}, iterable=["app"])
def init_repository(c: Any, app: Any = None) -> None:
    """Make each app's encrypted repository, and export its key to the escrow folder. May be run again."""
    from tasks.borg import apps, verbs

    apps.each(c.config.inventory, app or (), verbs.initialise)


@task(name="create", help={"app": APP_HELP}, iterable=["app"])
def create_archive(c: Any, app: Any = None) -> None:
    """Save each app's files in a new archive (`inv backup` does this and more)."""
    from tasks.borg import apps, verbs
    from tasks.storage.repository import Side

    apps.each(c.config.inventory, app or (), verbs.save_files, Side.HOST)


@task(
    name="list",
    help={"app": APP_HELP, "archive": "list what this archive holds (a name, or `latest`)", "path": PATH_HELP},
    iterable=["app", "path"],
)
def list_archives(c: Any, app: Any = None, archive: str = "", path: Any = None) -> None:
    """List the archives of each app, or what one archive holds."""
    from tasks.borg import apps, verbs

    apps.each(c.config.inventory, app or (), lambda opened: verbs.show_list(opened, archive, path or ()))


@task(name="info", help={"app": APP_HELP, "archive": ARCHIVE_HELP}, iterable=["app"])
def show_info(c: Any, app: Any = None, archive: str = "") -> None:
    """Show the sizes of each app's repository, or of one archive."""
    from tasks.borg import apps, verbs

    apps.each(c.config.inventory, app or (), lambda opened: verbs.show_info(opened, archive))


@task(
    name="diff",
    help={
        "app": ONE_APP_HELP,
        "first": ARCHIVE_HELP,
        "second": "the later archive, or `latest`",
        "path": PATH_HELP,
        "storage": STORAGE_HELP,
    },
    iterable=["path"],
)
def show_diff(c: Any, app: str, first: str, second: str = "latest", path: Any = None, storage: str = "") -> None:
    """Show what changed from one archive of an app to another."""
    from tasks.borg import apps, verbs

    apps.one(c.config.inventory, app, storage, lambda opened: verbs.show_diff(opened, first, second, path or ()))


@task(
    name="extract",
    help={
        "app": ONE_APP_HELP,
        "target": "a new or empty folder on this machine (for a storage of kind local: on the app's host)",
        "archive": ARCHIVE_HELP,
        "path": PATH_HELP,
        "storage": STORAGE_HELP,
        "trust-archive": TRUST_HELP,
    },
    iterable=["path"],
)
def extract_archive(
    c: Any,
    app: str,
    target: str,
    archive: str = "latest",
    path: Any = None,
    storage: str = "",
    trust_archive: bool = False,
) -> None:
    """Extract an archive, or some paths of it, into a new folder (`inv restore` puts data back in its place)."""
    from pathlib import Path

    from tasks.borg import apps, verbs

    place = str(Path(target).expanduser().absolute())
    paths = tuple(path or ())
    apps.one(
        c.config.inventory,
        app,
        storage,
        lambda opened: verbs.extract_to(opened, archive, place, paths, trusted=trust_archive),
    )


@task(
    name="mount",
    help={
        "app": ONE_APP_HELP,
        "folder": "where to mount, on this machine",
        "archive": "only this archive",
        "storage": STORAGE_HELP,
    },
)
def mount_archives(c: Any, app: str, folder: str, archive: str = "", storage: str = "") -> None:
    """Mount an app's archives as folders on this machine. Backups of the app wait until it is unmounted."""
    from tasks.borg import apps, verbs

    apps.one(c.config.inventory, app, storage, lambda opened: verbs.mount_on(opened, folder, archive))


@task(name="umount", help={"app": ONE_APP_HELP, "folder": "where it is mounted", "storage": STORAGE_HELP})
def umount_archives(c: Any, app: str, folder: str, storage: str = "") -> None:
    """Unmount what `borg.mount` mounted."""
    from tasks.borg import apps, verbs

    apps.one(c.config.inventory, app, storage, lambda opened: verbs.umount_from(opened, folder))


@task(
    name="check",
    help={
        "app": APP_HELP,
        "repository-only": "look at the repository's segments alone",
        "archives-only": "look at the archives' metadata alone",
        "verify-data": "read and decrypt all data as well: as slow as a full restore",
        "max-duration": "seconds after which a check of the segments stops; the next one goes on from there",
        "last": "only so many of the newest archives",
    },
    iterable=["app"],
)
def check_repository(
    c: Any,
    app: Any = None,
    repository_only: bool = False,
    archives_only: bool = False,
    verify_data: bool = False,
    max_duration: int = 0,
    last: int = 0,
) -> None:
    """Check that each app's repository is whole. Repairs nothing."""
    from tasks.borg import apps, verbs
    from tasks.borg.client.check import CheckOptions

    options = CheckOptions(repository_only, archives_only, verify_data, max_duration or None, last or None)
    apps.each(c.config.inventory, app or (), lambda opened: verbs.show_check(opened, options))


@task(
    name="prune",
    help={
        "app": APP_HELP,
        "dry-run": "show what would go and change nothing",
        "yes": "prune without being asked",
        "force": FORCE_HELP,
    },
    iterable=["app"],
)
def prune_archives(c: Any, app: Any = None, dry_run: bool = False, yes: bool = False, force: bool = False) -> None:
    """Drop archives that `keep` does not keep. Until `borg.compact`, they can be brought back."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.prune_sources(
            opened, dry_run=dry_run, force=force, ask=lambda question: confirm(question, yes=yes)
        )

    apps.each(c.config.inventory, app or (), act)


@task(
    name="delete",
    help={
        "app": ONE_APP_HELP,
        "archive": "name of an archive to drop; repeat it for several",
        "yes": "delete without being asked",
        "force": FORCE_HELP,
        "storage": STORAGE_HELP,
    },
    iterable=["archive"],
)
def delete_archives(
    c: Any, app: str, archive: Any = None, yes: bool = False, force: bool = False, storage: str = ""
) -> None:
    """Drop named archives. Until `borg.compact`, they can be brought back."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.delete_archives(
            opened, archive or (), force=force, ask=lambda question: confirm(question, yes=yes)
        )

    apps.one(c.config.inventory, app, storage, act)


@task(
    name="compact",
    help={"app": APP_HELP, "yes": "free space without being asked", "force": FORCE_HELP},
    iterable=["app"],
)
def compact_repository(c: Any, app: Any = None, yes: bool = False, force: bool = False) -> None:
    """Free the space of pruned archives, for good."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.free_space(opened, force=force, ask=lambda question: confirm(question, yes=yes))

    apps.each(c.config.inventory, app or (), act)


@task(
    name="rollback",
    help={
        "app": ONE_APP_HELP,
        "to": "number of the transaction to go back to; without --to and --before all are shown",
        "before": "go back to the last transaction before this time, as 2026-11-22T03:00 (UTC unless it names a zone)",
        "undo": "undo the last rollback: bring back what it set aside",
        "remove": "delete this folder that was set aside, for good; without any option they are listed",
        "yes": "go back, or delete, without being asked",
        "force": "with --remove: delete it although something looks wrong",
        "storage": STORAGE_HELP,
    },
)
def roll_back(
    c: Any,
    app: str,
    to: int = -1,
    before: str = "",
    undo: bool = False,
    remove: str = "",
    yes: bool = False,
    force: bool = False,
    storage: str = "",
) -> None:
    """Undo what was done to an app's repository since a transaction. Deletes nothing: what came later is kept aside."""
    from tasks.borg import apps, arguments, verbs
    from tasks.errors import UsageError

    moment = arguments.moment(before) if before else None
    if sum((to >= 0, moment is not None, undo, bool(remove))) > 1:
        raise UsageError("--to, --before, --undo and --remove exclude each other", "give one of them")

    def ask(question: str) -> bool:
        return confirm(question, yes=yes)

    def act(opened: apps.Opened) -> verbs.Lines:
        if remove:
            return verbs.remove_set_aside(opened, remove, force=force, ask=ask)
        return verbs.roll_back(opened, to if to >= 0 else None, moment, undo=undo, ask=ask)

    apps.one(c.config.inventory, app, storage, act)


@task(
    name="confirm-address",
    help={
        "app": ONE_APP_HELP,
        "yes": "confirm what the records tell of without being asked",
        "storage": STORAGE_HELP,
    },
)
def confirm_address(c: Any, app: str, yes: bool = False, storage: str = "") -> None:
    """Go on with a repository that was moved or renamed: compare it with its records, and confirm the new address.

    Change the storage in the inventory first; a key that is forced to the old path needs `inv storagebox.setup` too.
    """
    from tasks.borg import apps
    from tasks.borg.confirm_address import confirm_address as confirmed

    def act(opened: apps.Opened) -> Iterator[str]:
        return confirmed(opened.session, opened.app, lambda question: confirm(question, yes=yes))

    apps.one(c.config.inventory, app, storage, act)


@task(
    name="publish",
    help={
        "app": ONE_APP_HELP,
        "dry-run": "show what the copy lost and what would be sent, and change nothing",
        "yes": "publish without being asked",
        "storage": STORAGE_HELP,
    },
)
def publish_repository(c: Any, app: str, dry_run: bool = False, yes: bool = False, storage: str = "") -> None:
    """Publish again what a copy in S3 or SFTP lost, from the host's repository, once that is found whole."""
    from tasks.borg import apps
    from tasks.borg.publish import publish

    def act(opened: apps.Opened) -> Iterator[str]:
        return publish(opened, dry_run=dry_run, ask=lambda question: confirm(question, yes=yes))

    apps.one(c.config.inventory, app, storage, act)


@task(
    name="change-passphrase",
    help={
        "app": ONE_APP_HELP,
        "new": "where the new passphrase is: env:NAME, file:PATH or command:WORDS",
        "yes": "change it without being asked",
    },
)
def change_passphrase(c: Any, app: str, new: str, yes: bool = False) -> None:
    """Give the key of an app's repository another passphrase, and export it to the escrow folder anew."""
    from tasks.borg import apps, arguments, verbs

    secret = arguments.new_passphrase(new, app)

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.change_passphrase(opened, secret, ask=lambda question: confirm(question, yes=yes))

    apps.each(c.config.inventory, (app,), act)


@task(
    name="renew",
    help={
        "app": ONE_APP_HELP,
        "yes": "begin without being asked",
        "storage": "renew the repository in this storage alone, of an app that has several; its passphrase then stays",
    },
)
def renew_repository(c: Any, app: str, yes: bool = False, storage: str = "") -> None:
    """Begin a new repository with a new key and passphrase, and keep the old one aside: after a host was taken over.

    The host's old key is let in no more. Makes no backup; run again, it ends what was killed on the way.
    """
    from tasks.borg import renew

    renew.run(c.config.inventory, app, storage, lambda question: confirm(question, yes=yes), print)


@task(
    name="key-export",
    help={"app": APP_HELP, "replace": "when the key changed: keep the former one aside and export the new one"},
    iterable=["app"],
)
def export_key(c: Any, app: Any = None, replace: bool = False) -> None:
    """Export each repository's key to the escrow folder, and compare."""
    from tasks.borg import apps, verbs

    apps.each(c.config.inventory, app or (), lambda opened: verbs.export_key(opened, replace=replace))


@task(name="break-lock", help={"app": ONE_APP_HELP, "yes": "break the lock without being asked"})
def remove_lock(c: Any, app: str, yes: bool = False) -> None:
    """Say who holds an app's repository, and remove the lock of a borg that is gone."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.remove_lock(opened, ask=lambda question: confirm(question, yes=yes))

    apps.each(c.config.inventory, (app,), act)
