"""Options of the tasks `borg.*`."""

from dataclasses import dataclass

from tasks.cli import flag, option
from tasks.options import FORCE_HELP, Apps, Checks, OneApp, Prune, Shown

ARCHIVE_HELP = (
    "name of an archive; `latest`: the newest that a record knows of the files (of the database, without files);"
    " or a moment, as yesterday or '2026-11-22 14:03': the newest good one from before it"
)
TRUST_HELP = "restore devices, setuid and setgid bits, capabilities and immutable flags as well"
PATH_HELP = "only this path and what is below it; repeat it for several"


@dataclass(frozen=True, kw_only=True)
class OneRepository(OneApp):
    """A task on one repository of an app."""

    storage: str = option("the storage, of an app that has a repository in several", "")


@dataclass(frozen=True, kw_only=True)
class ListOptions(Apps, Shown):
    """Options of `borg.list`."""

    archive: str = option(f"list what it holds: {ARCHIVE_HELP}", "")
    path: tuple[str, ...] = option(PATH_HELP, ())


@dataclass(frozen=True, kw_only=True)
class InfoOptions(Apps, Shown):
    """Options of `borg.info`."""

    archive: str = option(ARCHIVE_HELP, "")


@dataclass(frozen=True, kw_only=True)
class DiffOptions(OneRepository, Shown):
    """Options of `borg.diff`."""

    first: str = option(f"{ARCHIVE_HELP}; the last good one before the second unless given", "")
    second: str = option("the later archive, in the same ways", "latest")
    path: tuple[str, ...] = option(PATH_HELP, ())


@dataclass(frozen=True, kw_only=True)
class ExtractOptions(OneRepository):
    """Options of `borg.extract`."""

    target: str = option("a new or empty folder on this machine (for a storage of kind local: on the app's host)")
    archive: str = option(ARCHIVE_HELP, "latest")
    path: tuple[str, ...] = option(PATH_HELP, ())
    trust_archive: bool = flag(TRUST_HELP)


@dataclass(frozen=True, kw_only=True)
class MountOptions(OneRepository):
    """Options of `borg.mount`."""

    folder: str = option("where to mount, on this machine")
    archive: str = option(f"only this one: {ARCHIVE_HELP}", "")


@dataclass(frozen=True, kw_only=True)
class UmountOptions(OneRepository):
    """Options of `borg.umount`."""

    folder: str = option("where it is mounted")


@dataclass(frozen=True, kw_only=True)
class RepositoryCheck(Checks, Apps):
    """Options of `borg.check`."""

    repository_only: bool = flag("look at the repository's segments alone")
    archives_only: bool = flag("look at the archives' metadata alone")
    last: int = option("only so many of the newest archives", 0)


@dataclass(frozen=True, kw_only=True)
class PruneOptions(Prune, Apps):
    """Options of `borg.prune`."""


@dataclass(frozen=True, kw_only=True)
class DeleteOptions(OneRepository):
    """Options of `borg.delete`."""

    archive: tuple[str, ...] = option("name of an archive to drop; repeat it for several", ())
    yes: bool = flag("delete without being asked")
    force: bool = flag(FORCE_HELP)


@dataclass(frozen=True, kw_only=True)
class CompactOptions(Apps):
    """Options of `borg.compact`."""

    yes: bool = flag("free space without being asked")
    force: bool = flag(FORCE_HELP)


@dataclass(frozen=True, kw_only=True)
class RollbackOptions(OneRepository):
    """Options of `borg.rollback`."""

    to: int = option("number of the transaction to go back to; without --to and --before all are shown", -1)
    before: str = option(
        "go back to the last transaction before this time, as '2026-11-22 14:03' in this machine's zone, or with"
        " +01:00 or Z",
        "",
    )
    undo: bool = flag("undo the last rollback: bring back what it set aside")
    remove: str = option("delete this folder that was set aside, for good; without any option they are listed", "")
    yes: bool = flag("go back, or delete, without being asked")
    force: bool = flag("with --remove: delete it although something looks wrong")


@dataclass(frozen=True, kw_only=True)
class ConfirmAddressOptions(OneRepository):
    """Options of `borg.confirm-address`."""

    yes: bool = flag("confirm what the records tell of without being asked")


@dataclass(frozen=True, kw_only=True)
class PublishOptions(OneRepository):
    """Options of `borg.publish`."""

    dry_run: bool = flag("show what the copy lost and what would be sent, and change nothing")
    yes: bool = flag("publish without being asked")


@dataclass(frozen=True, kw_only=True)
class ChangePassphraseOptions(OneApp):
    """Options of `borg.change-passphrase`."""

    new: str = option("where the new passphrase is: env:NAME, file:PATH or command:WORDS")
    yes: bool = flag("change it without being asked")


@dataclass(frozen=True, kw_only=True)
class RenewOptions(OneApp):
    """Options of `borg.renew`."""

    yes: bool = flag("begin without being asked")
    storage: str = option(
        "renew the repository in this storage alone, of an app that has several; its passphrase then stays", ""
    )


@dataclass(frozen=True, kw_only=True)
class KeyExportOptions(Apps):
    """Options of `borg.key-export`."""

    replace: bool = flag("when the key changed: keep the former one aside and export the new one")


@dataclass(frozen=True, kw_only=True)
class BreakLockOptions(OneApp):
    """Options of `borg.break-lock`."""

    yes: bool = flag("break the lock without being asked")
