"""Administration of Storage Boxes, and of other SSH servers with borg: keys, accounts, snapshots, space."""

from collections.abc import Iterable

from invoke.context import Context

from tasks.cli import confirm, finish, host_key_question, task
from tasks.storagebox.options import (
    AccessOptions,
    AccountsOptions,
    KeysOptions,
    ProbeOptions,
    SetupOptions,
    SnapshotsOptions,
    UsageOptions,
)
from tasks.terminal import whole_line


@task()
def setup(c: Context, options: SetupOptions) -> None:
    """Make a storage ready: pin its host key, install the keys of the operator and of each app's host, make folders.

    May be run again at any time: what is there already stays. Where the operator's key does not log in yet, the
    account's password is asked for (or taken from the environment variable STORAGEBOX_PASSWORD).
    """
    import tasks.storagebox.setup as storagebox_setup

    def trusts(host: str, shown: str) -> bool:
        if options.fingerprint:
            return options.fingerprint == shown
        return confirm(host_key_question(host, shown), yes=options.yes)

    storagebox_setup.run(
        c.config.inventory, options.storage, trusts, print, lambda question: confirm(question, yes=options.yes)
    )


@task()
def usage(c: Context, options: UsageOptions) -> None:
    """Show the used and the free space of each storage, of each repository in it, and when it will be full."""
    import tasks.storagebox.usage as storagebox_usage

    show = storagebox_usage.document if options.as_json else storagebox_usage.lines
    _show(show(c.config.inventory, options.storage))


@task()
def probe(c: Context, options: ProbeOptions) -> None:
    """Try, in a scratch folder that goes again, whether a box does what backups rely on; exit 3 if it differs."""
    import tasks.storagebox.probe as storagebox_probe

    finish(storagebox_probe.run(c.config.inventory, options.storage, as_json=options.as_json))


@task()
def accounts(c: Context, options: AccountsOptions) -> None:
    """List the sub-accounts of a storage box, make one for an app, or remove one."""
    import tasks.storagebox.accounts as storagebox_accounts

    change = storagebox_accounts.Change(options.create, options.folder, options.remove, options.as_json)
    _show(
        storagebox_accounts.run(
            c.config.inventory, options.storage, change, lambda question: confirm(question, yes=options.yes)
        )
    )


@task()
def keys(c: Context, options: KeysOptions) -> None:
    """List the keys that log in to an account and what each may do, add one, or remove one."""
    import tasks.storagebox.keys as storagebox_keys

    change = storagebox_keys.Change(options.add, options.remove, options.port, options.as_json)
    _show(
        storagebox_keys.run(
            c.config.inventory,
            options.storage,
            options.account,
            change,
            lambda question: confirm(question, yes=options.yes),
        )
    )


@task()
def snapshots(c: Context, options: SnapshotsOptions) -> None:
    """List the snapshots of a storage box, make, delete or plan them, or roll the box back to one."""
    import tasks.storagebox.snapshots as storagebox_snapshots

    change = storagebox_snapshots.Change(
        options.create,
        options.description,
        options.delete,
        options.rollback,
        options.plan,
        options.keep,
        options.weekday,
        options.no_plan,
        options.as_json,
    )
    _show(
        storagebox_snapshots.run(
            c.config.inventory, options.storage, change, lambda question: confirm(question, yes=options.yes)
        )
    )


@task()
def access(c: Context, options: AccessOptions) -> None:
    """Show by which ways a storage box can be reached, or switch them."""
    import tasks.storagebox.access as storagebox_access

    wanted = {
        "ssh_enabled": options.ssh,
        "reachable_externally": options.external,
        "zfs_enabled": options.snapshot_folder,
    }
    _show(
        storagebox_access.run(
            c.config.inventory,
            options.storage,
            wanted,
            lambda question: confirm(question, yes=options.yes),
            as_json=options.as_json,
        )
    )


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(whole_line(line), flush=True)
