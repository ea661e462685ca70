"""The inventory as a person sees it: which apps there are, and whether all that they need is in place."""

from functools import partial

from invoke.context import Context

from tasks.app.options import (
    AddOptions,
    FindOptions,
    ImportOptions,
    InitOptions,
    KubernetesOptions,
    MoveOptions,
    RemoveOptions,
    RenameOptions,
)
from tasks.cli import confirm, finish, host_key_question, task
from tasks.options import ShownApps


@task()
def init(c: Context, options: InitOptions) -> None:
    """Write a first inventory: where backups go. At a terminal, what the options leave open is asked for."""
    from tasks.app import first_inventory
    from tasks.app.first_inventory import FirstStorage

    keys = first_inventory.chosen(options)
    first = FirstStorage(keys.pop("storage", ""), keys, keys.pop("secrets", ""), keys.pop("escrow", ""))
    first_inventory.run(c.config.inventory, first, print)


@task(name="add")
def add_app(c: Context, options: AddOptions) -> None:
    """Add an app: check its host, write its file, make passphrase, keys and repository, save it and prove the backup.

    May be run again at any time: what is there stays as it is, what is missing is made. At a terminal, what the options
    leave open is asked for.
    """
    from tasks.app import add
    from tasks.app.new_app import NewApp

    contained = bool(options.container or options.project)  # the server there, and not one of the host
    new = NewApp(
        app=options.app,
        host=options.host,
        files=options.files,
        exclude=options.exclude,
        mounts=options.mounts,
        mariadb=options.mariadb or bool(options.defaults_file) or (options.binlog and not contained),
        binlog=options.binlog,
        defaults_file=options.defaults_file,
        storage=options.storage,
        storage_key=options.storage_key,
        ssh_port=options.ssh_port,
        key=options.key,
        become=options.become,
        container=options.container,
        project=options.project,
    )
    trusts = partial(_trusts, options)
    add.run(c.config.inventory, new, trusts, print, lambda question: confirm(question, yes=options.yes))


@task(name="import")
def import_app(c: Context, options: ImportOptions) -> None:
    """Write an app's file from a borgmatic configuration, and say line by line what could not be carried over.

    Exits with 3 if anything is left to do by hand. Reaches no host and no storage: `app.add` does, run after it.
    """
    from tasks.app import imported

    finish(imported.run(c.config.inventory, imported.Options(options.from_, options.name, options.host), print))


@task(name="remove")
def remove_app(c: Context, options: RemoveOptions) -> None:
    """Take an app out of the inventory and its key out of the storage.

    Keeps its archives, passphrase and escrow copy, and says how to delete them.
    """
    from tasks.app import remove

    remove.run(c.config.inventory, options.app, lambda question: confirm(question, yes=options.yes), print)


@task(name="move")
def move_app(c: Context, options: MoveOptions) -> None:
    """Let an app go on on another host, or in another storage: its archives, records and proofs stay its own.

    --host: the new host gets a key for the repository, and other keys go; the old host may be gone. --storage: the
    repository is copied, checked and read, and the old one is kept aside. Killed midway, the same command goes on.
    """
    from tasks.app import move, new_storage
    from tasks.app.storage_move import Destination
    from tasks.errors import UsageError

    if bool(options.host) == bool(options.storage):
        raise UsageError("app.move needs --host or --storage, and one of them", "say where it goes")
    if options.storage:
        agrees = partial(confirm, yes=options.yes)
        wanted = Destination(options.app, options.storage, options.from_)
        new_storage.run(c.config.inventory, wanted, agrees, print)
        return
    to = move.NewHost(options.app, options.host, options.ssh_port, options.key)
    agreed = partial(confirm, yes=options.yes)
    move.run(c.config.inventory, to, partial(_trusts, options), agreed, print)


@task(name="rename")
def rename_app(c: Context, options: RenameOptions) -> None:
    """Give an app another name: its file, repository, records, keys and escrow copy; its archives stay its own.

    Killed midway, the same command goes on from there.
    """
    from tasks.app import rename

    agreed = partial(confirm, yes=options.yes)
    rename.run(c.config.inventory, options.app, options.to, agreed, print)


@task(name="list")
def list_apps(c: Context, options: ShownApps) -> None:
    """List the apps of the inventory: host, storage, what is backed up."""
    from tasks.app import apps

    show = apps.document if options.as_json else apps.table
    print(show(c.config.inventory, options.chosen))


@task(name="check")
def check_apps(c: Context, options: ShownApps) -> None:
    """Test that each app's host, server, storage and repository are reachable and ready. Changes nothing."""
    from tasks.app import check

    finish(check.run(c.config.inventory, options.chosen, as_json=options.as_json))


@task(name="find")
def find_containers(c: Context, options: FindOptions) -> None:
    """List the containers of hosts that have volumes which no app saves. Exits with 3 if there are any.

    Asks docker and podman on each host, and changes nothing.
    """
    from tasks.app import uncovered

    finish(uncovered.run(c.config.inventory, options))


@task(name="kubernetes")
def print_manifests(c: Context, options: KubernetesOptions) -> None:
    """Write apps as manifests for Kubernetes: backups, drills, checks, prunes, restores, and the metrics of all."""
    from tasks.app import manifest_command

    manifest_command.run(c.config.inventory, options, print)


def _trusts(options: AddOptions | MoveOptions, where: str, shown: str) -> bool:
    """Return whether a host key is the right one, by the options or by asking."""
    if options.fingerprint:
        return shown in options.fingerprint
    return confirm(host_key_question(where, shown), yes=options.yes)
