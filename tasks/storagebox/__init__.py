"""Storage Boxes, and other SSH servers with borg, themselves: keys, accounts, snapshots, space."""

from collections.abc import Iterable
from typing import Any

from tasks.cli import confirm, host_key_question, task
from tasks.terminal import whole_line

BOX_HELP = "name of a storage in the inventory; needless when there is one storage box only"
STORAGE_HELP = "name of a storage in the inventory; repeat it for several; none means all storage boxes"


@task(
    help={
        "storage": STORAGE_HELP,
        "fingerprint": "accept a host key with this SHA256 fingerprint (from Hetzner's documentation) without asking",
        "yes": "accept the host key that the box shows, and replace what an app's key may do there, without asking",
    },
    iterable=["storage"],
)
def setup(c: Any, storage: Any = None, fingerprint: str = "", yes: bool = False) -> None:
    """Make a storage ready: pin its host key, install the keys of the operator and of each app's host, make folders.

    May be run again at any time: what is there already stays. Where the operator's key does not log in yet, the
    account's password is asked for (or taken from the environment variable STORAGEBOX_PASSWORD).
    """
    import tasks.storagebox.setup as storagebox_setup

    def trusts(host: str, shown: str) -> bool:
        if fingerprint:
            return fingerprint == shown
        return confirm(host_key_question(host, shown), yes=yes)

    storagebox_setup.run(c.config.inventory, storage or (), trusts, print, lambda question: confirm(question, yes=yes))


@task(help={"storage": STORAGE_HELP}, iterable=["storage"])
def usage(c: Any, storage: Any = None) -> None:
    """Show the used and the free space of each storage, of each repository in it, and when it will be full."""
    import tasks.storagebox.usage as storagebox_usage

    _show(storagebox_usage.lines(c.config.inventory, storage or ()))


@task(
    help={
        "storage": BOX_HELP,
        "create": "make a sub-account for this app, restricted to a folder of its own, and add it as a storage",
        "folder": "that folder, from the main account's home; accounts/<app> unless given",
        "remove": "remove the sub-account of this name, such as u123456-sub1; its folder stays",
        "yes": "do it without being asked",
    }
)
def accounts(
    c: Any, storage: str = "", create: str = "", folder: str = "", remove: str = "", yes: bool = False
) -> None:
    """List the sub-accounts of a storage box, make one for an app, or remove one."""
    import tasks.storagebox.accounts as storagebox_accounts

    change = storagebox_accounts.Change(create, folder, remove)
    _show(storagebox_accounts.run(c.config.inventory, storage, change, lambda question: confirm(question, yes=yes)))


@task(
    help={
        "storage": BOX_HELP,
        "account": "a sub-account, such as u123456-sub1; the account of the storage unless given",
        "add": "let the public key in this file log in, with all rights",
        "port": "for --add: 22 (SFTP alone), 23, or both; each port of a box wants a form of its own",
        "remove": "let the key with this SHA256 fingerprint no longer log in",
        "yes": "do it without being asked",
    }
)
def keys(
    c: Any,
    storage: str = "",
    account: str = "",
    add: str = "",
    port: str = "both",
    remove: str = "",
    yes: bool = False,
) -> None:
    """List the keys that log in to an account and what each may do, add one, or remove one."""
    import tasks.storagebox.keys as storagebox_keys

    change = storagebox_keys.Change(add, remove, port)
    _show(
        storagebox_keys.run(c.config.inventory, storage, account, change, lambda question: confirm(question, yes=yes))
    )


@task(
    help={
        "storage": BOX_HELP,
        "create": "make a snapshot of the whole box now",
        "description": "for --create: what it is for",
        "delete": "delete the snapshot of this name",
        "rollback": "put the whole box back to the snapshot of this name; says first what will be lost",
        "plan": "make one every day at this time in UTC, such as 03:30",
        "keep": "for --plan: how many automatic snapshots stay",
        "weekday": "for --plan: only on this day, 1 for Monday to 7 for Sunday",
        "no-plan": "make no more by themselves; those there are stay",
        "yes": "do it without being asked",
    }
)
def snapshots(
    c: Any,
    storage: str = "",
    create: bool = False,
    description: str = "",
    delete: str = "",
    rollback: str = "",
    plan: str = "",
    keep: int = 0,
    weekday: int = 0,
    no_plan: bool = False,
    yes: bool = False,
) -> None:
    """List the snapshots of a storage box, make, delete or plan them, or roll the box back to one."""
    import tasks.storagebox.snapshots as storagebox_snapshots

    change = storagebox_snapshots.Change(create, description, delete, rollback, plan, keep, weekday, no_plan)
    _show(storagebox_snapshots.run(c.config.inventory, storage, change, lambda question: confirm(question, yes=yes)))


@task(
    help={
        "storage": BOX_HELP,
        "ssh": "on or off: SSH support, which borg needs",
        "external": "on or off: reachable from outside of Hetzner's network",
        "snapshot-folder": "on or off: show snapshots as folders in /.zfs/snapshot",
        "yes": "switch off what backups need without being asked",
    }
)
def access(
    c: Any, storage: str = "", ssh: str = "", external: str = "", snapshot_folder: str = "", yes: bool = False
) -> None:
    """Show by which ways a storage box can be reached, or switch them."""
    import tasks.storagebox.access as storagebox_access

    wanted = {"ssh_enabled": ssh, "reachable_externally": external, "zfs_enabled": snapshot_folder}
    _show(storagebox_access.run(c.config.inventory, storage, wanted, lambda question: confirm(question, yes=yes)))


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(whole_line(line), flush=True)
