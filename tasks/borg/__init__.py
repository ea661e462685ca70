"""Borg's own verbs on the repositories of apps.

    a verb's words -> client.runner (environment, script, host) -> client.messages, client.errors -> a frozen result

`client` has one module for each verb; `client.runner` runs them all, `client.errors` translates borg's errors for
people, `client.versions` lists the differences between borg 1.2 and 1.4. `host` has the programs that run on hosts.
"""

from collections.abc import Iterator

from invoke.context import Context

from tasks.borg.options import (
    BreakLockOptions,
    ChangePassphraseOptions,
    CompactOptions,
    ConfirmAddressOptions,
    DeleteOptions,
    DiffOptions,
    ExtractOptions,
    InfoOptions,
    KeyExportOptions,
    ListOptions,
    MountOptions,
    PruneOptions,
    PublishOptions,
    RenewOptions,
    RepositoryCheck,
    RollbackOptions,
    UmountOptions,
)
from tasks.cli import confirm, task
from tasks.options import Apps


@task(name="init")
def init_repository(c: Context, options: Apps) -> None:
    """Make each app's encrypted repository, and export its key to the escrow folder. May be run again."""
    from tasks.borg import apps, verbs

    apps.several(c.config.inventory, options.chosen, verbs.initialise)


@task(name="create")
def create_archive(c: Context, options: Apps) -> None:
    """Save each app's files in a new archive (`inv backup` does this and more)."""
    from tasks.borg import apps, verbs
    from tasks.storage.repository import Side

    apps.each(c.config.inventory, options.chosen, verbs.save_files, Side.HOST)


@task(name="list")
def list_archives(c: Context, options: ListOptions) -> None:
    """List the archives of each app, or what one archive holds."""
    from tasks.borg import apps, contents

    folder, archive, paths = c.config.inventory, options.archive, options.path
    if options.as_json:
        apps.documents(folder, options.chosen, lambda opened: contents.read_list(opened, archive, paths))
    else:
        apps.each(folder, options.chosen, lambda opened: contents.show_list(opened, archive, paths))


@task(name="info")
def show_info(c: Context, options: InfoOptions) -> None:
    """Show the sizes of each app's repository, or of one archive."""
    from tasks.borg import apps, contents

    folder, archive = c.config.inventory, options.archive
    if options.as_json:
        apps.documents(folder, options.chosen, lambda opened: contents.read_info(opened, archive))
    else:
        apps.each(folder, options.chosen, lambda opened: contents.show_info(opened, archive))


@task(name="diff")
def show_diff(c: Context, options: DiffOptions) -> None:
    """Show what changed from one archive of an app to another."""
    from tasks.borg import apps, contents

    which = (options.first, options.second, options.path)
    if options.as_json:
        place = (c.config.inventory, options.app, options.storage)
        apps.one_document(*place, lambda opened: contents.read_diff(opened, *which))
    else:
        apps.one(c.config.inventory, options.app, options.storage, lambda opened: contents.show_diff(opened, *which))


@task(name="extract")
def extract_archive(c: Context, options: ExtractOptions) -> None:
    """Extract an archive, or some paths of it, into a new folder (`inv restore` puts data back in its place)."""
    from pathlib import Path

    from tasks.borg import apps, contents

    place = str(Path(options.target).expanduser().absolute())
    paths = options.path
    apps.one(
        c.config.inventory,
        options.app,
        options.storage,
        lambda opened: contents.extract_to(opened, options.archive, place, paths, trusted=options.trust_archive),
    )


@task(name="mount")
def mount_archives(c: Context, options: MountOptions) -> None:
    """Mount an app's archives as folders on this machine. Backups of the app wait until it is unmounted."""
    from tasks.borg import apps, contents

    apps.one(
        c.config.inventory,
        options.app,
        options.storage,
        lambda opened: contents.mount_on(opened, options.folder, options.archive),
    )


@task(name="umount")
def umount_archives(c: Context, options: UmountOptions) -> None:
    """Unmount what `borg.mount` mounted."""
    from tasks.borg import apps, contents

    apps.one(
        c.config.inventory, options.app, options.storage, lambda opened: contents.umount_from(opened, options.folder)
    )


@task(name="check")
def check_repository(c: Context, options: RepositoryCheck) -> None:
    """Check that each app's repository is whole. Repairs nothing."""
    from tasks.borg import apps, verbs
    from tasks.borg.client.check import CheckOptions

    chosen = CheckOptions(
        options.repository_only,
        options.archives_only,
        options.verify_data,
        options.max_duration or None,
        options.last or None,
    )
    apps.each(c.config.inventory, options.chosen, lambda opened: verbs.show_check(opened, chosen))


@task(name="prune")
def prune_archives(c: Context, options: PruneOptions) -> None:
    """Drop archives that `keep` does not keep. Until `borg.compact`, they can be brought back."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.prune_sources(
            opened,
            dry_run=options.dry_run,
            force=options.force,
            ask=lambda question: confirm(question, yes=options.yes),
        )

    apps.each(c.config.inventory, options.chosen, act)


@task(name="delete")
def delete_archives(c: Context, options: DeleteOptions) -> None:
    """Drop named archives. Until `borg.compact`, they can be brought back."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.delete_archives(
            opened, options.archive, force=options.force, ask=lambda question: confirm(question, yes=options.yes)
        )

    apps.one(c.config.inventory, options.app, options.storage, act)


@task(name="compact")
def compact_repository(c: Context, options: CompactOptions) -> None:
    """Free the space of pruned archives, for good."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.free_space(opened, force=options.force, ask=lambda question: confirm(question, yes=options.yes))

    apps.each(c.config.inventory, options.chosen, act)


@task(name="rollback")
def roll_back(c: Context, options: RollbackOptions) -> None:
    """Undo what was done to an app's repository since a transaction. Deletes nothing: what came later is kept aside."""
    from tasks.borg import apps, verbs
    from tasks.errors import UsageError
    from tasks.times import parse_moment

    moment = parse_moment(options.before, "--before", days=False) if options.before else None
    if sum((options.to >= 0, moment is not None, options.undo, bool(options.remove))) > 1:
        raise UsageError("--to, --before, --undo and --remove exclude each other", "give one of them")

    def ask(question: str) -> bool:
        return confirm(question, yes=options.yes)

    def remove(opened: apps.Opened) -> verbs.Lines:
        return verbs.remove_set_aside(opened, options.remove, options.storage, force=options.force, ask=ask)

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.roll_back(opened, options.to if options.to >= 0 else None, moment, undo=options.undo, ask=ask)

    if options.remove:
        apps.one_left(c.config.inventory, options.app, options.storage, remove)
    else:
        apps.one(c.config.inventory, options.app, options.storage, act)


@task(name="confirm-address")
def confirm_address(c: Context, options: ConfirmAddressOptions) -> None:
    """Go on with a repository that was moved, renamed or put back: compare it with its records, and confirm it to borg.

    After a move, change the storage in the inventory first; a key that is forced to the old path needs
    `inv storagebox.setup` too.
    """
    from tasks.borg import apps
    from tasks.borg.confirm_address import confirm_address as confirmed

    def act(opened: apps.Opened) -> Iterator[str]:
        return confirmed(opened.session, opened.app, lambda question: confirm(question, yes=options.yes))

    apps.one(c.config.inventory, options.app, options.storage, act)


@task(name="publish")
def publish_repository(c: Context, options: PublishOptions) -> None:
    """Publish again what a copy in S3 or SFTP lost, from the host's repository, once that is found whole."""
    from tasks.borg import apps
    from tasks.borg.publish import publish

    def act(opened: apps.Opened) -> Iterator[str]:
        return publish(opened, dry_run=options.dry_run, ask=lambda question: confirm(question, yes=options.yes))

    apps.one(c.config.inventory, options.app, options.storage, act)


@task(name="change-passphrase")
def change_passphrase(c: Context, options: ChangePassphraseOptions) -> None:
    """Give the key of an app's repository another passphrase, and export it to the escrow folder again."""
    from tasks.borg import apps, arguments, verbs

    secret = arguments.new_passphrase(options.new, options.app)

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.change_passphrase(opened, secret, ask=lambda question: confirm(question, yes=options.yes))

    apps.each(c.config.inventory, (options.app,), act)


@task(name="renew")
def renew_repository(c: Context, options: RenewOptions) -> None:
    """Begin a new repository with a new key and passphrase, and keep the old one aside: after a host was taken over.

    The host's old key is let in no more. Makes no backup; run again, it ends what was killed on the way.
    """
    from tasks.borg import renew

    renew.run(
        c.config.inventory, options.app, options.storage, lambda question: confirm(question, yes=options.yes), print
    )


@task(name="key-export")
def export_key(c: Context, options: KeyExportOptions) -> None:
    """Export each repository's key to the escrow folder, and compare."""
    from tasks.borg import apps, verbs

    apps.each(c.config.inventory, options.chosen, lambda opened: verbs.export_key(opened, replace=options.replace))


@task(name="break-lock")
def remove_lock(c: Context, options: BreakLockOptions) -> None:
    """Say who holds an app's repository, and remove the lock of a borg that is gone."""
    from tasks.borg import apps, verbs

    def act(opened: apps.Opened) -> verbs.Lines:
        return verbs.remove_lock(opened, ask=lambda question: confirm(question, yes=options.yes))

    apps.each(c.config.inventory, (options.app,), act)
