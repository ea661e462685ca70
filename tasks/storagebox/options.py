"""The options of the tasks `storagebox.*`."""

from dataclasses import dataclass

from tasks.cli import flag, option
from tasks.options import Shown


@dataclass(frozen=True, kw_only=True)
class OneBox:
    """A task on one Storage Box."""

    storage: str = option("name of a storage in the inventory; needless when there is one storage box only", "")


@dataclass(frozen=True, kw_only=True)
class Storages:
    """A task on storages: those named, or all boxes."""

    storage: tuple[str, ...] = option(
        "name of a storage in the inventory; repeat it for several; none means all storage boxes", ()
    )


@dataclass(frozen=True, kw_only=True)
class ProbeOptions(OneBox, Shown):
    """Options of `storagebox.probe`."""


@dataclass(frozen=True, kw_only=True)
class UsageOptions(Storages, Shown):
    """Options of `storagebox.usage`."""


@dataclass(frozen=True, kw_only=True)
class SetupOptions(Storages):
    """Options of `storagebox.setup`."""

    fingerprint: str = option(
        "accept a host key with this SHA256 fingerprint (from Hetzner's documentation) without asking", ""
    )
    yes: bool = flag(
        "accept the host key that the box shows, and replace what an app's key may do there, without asking"
    )


@dataclass(frozen=True, kw_only=True)
class AccountsOptions(OneBox, Shown):
    """Options of `storagebox.accounts`."""

    create: str = option(
        "make a sub-account for this app, restricted to a folder of its own, and add it as a storage", ""
    )
    folder: str = option("that folder, from the main account's home; accounts/<app> unless given", "")
    remove: str = option("remove the sub-account of this name, such as u123456-sub1; its folder stays", "")
    yes: bool = flag("do it without being asked")


@dataclass(frozen=True, kw_only=True)
class KeysOptions(OneBox, Shown):
    """Options of `storagebox.keys`."""

    account: str = option("a sub-account, such as u123456-sub1; the account of the storage unless given", "")
    add: str = option("let the public key in this file log in, with all rights", "")
    port: str = option("for --add: 22 (SFTP alone), 23, or both; each port of a box wants a form of its own", "both")
    remove: str = option("let the key with this SHA256 fingerprint no longer log in", "")
    yes: bool = flag("do it without being asked")


@dataclass(frozen=True, kw_only=True)
class SnapshotsOptions(OneBox, Shown):
    """Options of `storagebox.snapshots`."""

    create: bool = flag("make a snapshot of the whole box now")
    description: str = option("for --create: what it is for", "")
    delete: str = option("delete the snapshot of this name", "")
    rollback: str = option("put the whole box back to the snapshot of this name; says first what will be lost", "")
    plan: str = option("make one every day at this time in UTC, such as 03:30", "")
    keep: int = option("for --plan: how many automatic snapshots stay", 0)
    weekday: int = option("for --plan: only on this day, 1 for Monday to 7 for Sunday", 0)
    no_plan: bool = flag("make no more by themselves; those there are stay")
    yes: bool = flag("do it without being asked")


@dataclass(frozen=True, kw_only=True)
class AccessOptions(OneBox, Shown):
    """Options of `storagebox.access`."""

    ssh: str = option("on or off: SSH support, which borg needs", "")
    external: str = option("on or off: reachable from outside of Hetzner's network", "")
    snapshot_folder: str = option("on or off: show snapshots as folders in /.zfs/snapshot", "")
    yes: bool = flag("switch off what backups need without being asked")
