"""The inventory as frozen models: `CloudbackupFile` and `AppFile` are the files, `App` an app with its defaults."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, create_model, field_validator

from tasks.inventory.become import BecomeOptions
from tasks.inventory.files import Expect, Files
from tasks.inventory.keep import KeepRules
from tasks.inventory.notifications import Notification
from tasks.inventory.schedule import Schedule
from tasks.inventory.secrets import SecretReference, SecretStore, Strict
from tasks.inventory.storages import StorageConfig
from tasks.inventory.upload import UploadLimit
from tasks.inventory.values import (
    AppName,
    Commands,
    Compression,
    Containers,
    Day,
    Duration,
    HostKey,
    Name,
    Names,
    OperatorPath,
    Page,
    Port,
    Tags,
    Target,
)
from tasks.mariadb.config import MariaDB
from tasks.sources.keys import Keep, SourceKeys

__all__ = [
    "App",
    "AppFile",
    "BecomeOptions",
    "CloudbackupFile",
    "Defaults",
    "Expect",
    "Files",
    "Keep",
    "KeepRules",
    "MariaDB",
    "Notification",
    "SecretReference",
    "SecretStore",
    "SshOptions",
    "StorageConfig",
]


class Defaults(Strict):
    """What an app has unless its own file says otherwise."""

    storage: Name | None = Field(None, description="a storage's name; needless when there is only one")
    max_age: Duration = Field(timedelta(hours=26), description="a backup older than this is late: 26h, 2d")
    keep: Keep | None = Field(None, description="what prune keeps; nothing is ever pruned without it")
    compression: Compression = Field("lz4", description="borg's compression: lz4, zstd,3, auto,zstd,6")
    retries: int = Field(2, ge=0, le=10, description="how often a backup that lost a connection is tried again")
    retry_wait: Duration = Field(timedelta(seconds=10), description="before the first retry; doubled for each further")
    lock_wait: Duration = Field(
        timedelta(minutes=5), description="how long borg waits for another run on the repository"
    )
    time_limit: Duration = Field(
        timedelta(hours=24), description="how long borg may take for one backup, prune or check before it is ended"
    )
    upload: UploadLimit | None = Field(
        None, description="how fast a backup may send: 20MB/s, or by the hour, in this machine's time zone"
    )
    nice: bool = Field(default=False, description="run borg and the dump at low CPU and I/O priority")


class CloudbackupFile(Strict):
    """cloudbackup.yml: storages, and what holds for all apps."""

    kinds: ClassVar[Mapping[str, type[StorageConfig]]] = {}

    storages: dict[Name, StorageConfig] = Field(min_length=1, description="places for repositories, by name")
    defaults: Defaults = Field(Defaults(), description="what an app has unless its own file says otherwise")
    escrow: OperatorPath = Field(
        Path("~/cloudbackup/keys"),
        validate_default=True,
        description="folder on the operator's machine for exported repository keys",
    )
    agent_keys: OperatorPath = Field(
        Path("~/cloudbackup/agent-keys"),
        validate_default=True,
        description="folder on the operator's machine for the keys of apps with `storage_key: agent`",
    )
    cache: OperatorPath = Field(
        Path("~/.cache/cloudbackup"),
        validate_default=True,
        description="folder on the operator's machine for borg's caches; may be deleted at any time",
    )
    secrets: SecretStore = Field(
        default_factory=lambda: SecretStore(directory=Path("~/cloudbackup/secrets")),
        description="where a new app's passphrase is put",
    )
    notify: tuple[Notification, ...] = Field((), description="who is told how a run over all apps ended")
    page: Page | None = Field(None, description="the address at which people find the page: messages link to it")
    schedule: Schedule = Field(Schedule(), description="when each task is due: what `nightly` and `schedule` go by")


def cloudbackup_file(kinds: Mapping[str, type[StorageConfig]]) -> type[CloudbackupFile]:
    """Return the model of cloudbackup.yml with these kinds of storage; `kinds` has the model of each."""
    any_kind: Any = reduce(or_, kinds.values())
    storage = Annotated[any_kind, Field(discriminator="kind")]
    model = create_model(
        CloudbackupFile.__name__,
        __base__=CloudbackupFile,
        __doc__=CloudbackupFile.__doc__,
        storages=(dict[Name, storage], CloudbackupFile.model_fields["storages"]),
    )
    model.kinds = kinds
    return model


class SshOptions(Strict):
    """How the operator reaches the app's host, beyond what ~/.ssh/config says."""

    port: Port | None = Field(None, description="the SSH server's port")
    key: OperatorPath | None = Field(None, description="the operator's private key")
    host_key: HostKey | None = Field(None, description="the host's public key, pinned: `ssh-ed25519 AAAA...`")


class _AppHost(Strict):
    """Where an app is, and where its archives go."""

    host: Target = Field(description="[user@]host as in ssh, or local")
    ssh: SshOptions = Field(SshOptions(), description="how to reach the host, beyond what ~/.ssh/config says")
    passphrase: SecretReference = Field(description="the repository's passphrase: {env}, {file} or {command}")
    storage: Names | None = Field(
        None, description="a storage's name, the default one otherwise; a list of several gives each a copy of its own"
    )
    storage_key: Literal["host", "agent"] = Field(
        "host", description="host: a key of its own on the host, append-only; agent: served by the operator's process"
    )
    formerly: tuple[AppName, ...] = Field((), description="names that the app had: archives of those are its own too")
    become: BecomeOptions | None = Field(
        None, description="as whom everything on the host runs, where the login itself may not read it all: sudo, doas"
    )

    @field_validator("become")
    @classmethod
    def _where_it_can_be(cls, value: BecomeOptions | None, info: ValidationInfo) -> BecomeOptions | None:
        if value is not None and info.data.get("host") == "local":
            raise ValueError("is for a host behind SSH: run inv itself as that user, or write `host: USER@localhost`")
        if value is not None and value.user != "root" and info.data.get("storage_key") == "agent":
            raise ValueError("to another user than root does not reach the key of `storage_key: agent`: use `host`")
        return value


class AppFile(SourceKeys, _AppHost):
    """apps/<app>.yml: one app."""

    tags: Tags = Field((), description="groups that the app belongs to: `--tag` chooses apps by them")
    paused: Day | None = Field(None, description="no runs and no alarm until this day begins, in the operator's zone")
    container: Containers = Field(
        (), description="its containers, by name: stopped while a restore replaces what they mount"
    )
    before: Commands = Field((), description="commands on the host before a backup")
    after: Commands = Field((), description="commands on the host after a backup, whatever happened")
    notify: tuple[Notification, ...] = Field((), description="who is told how a run over this app ended")
    max_age: Duration | None = Field(None, description="a backup older than this is late: 26h, 2d")
    keep: Keep | None = Field(None, description="what prune keeps, in place of the default")
    compression: Compression | None = Field(None, description="borg's compression, in place of the default")
    upload: UploadLimit | None = Field(None, description="how fast a backup may send, in place of the default")
    nice: bool | None = Field(None, description="run borg and the dump at low CPU and I/O priority, or do not")


class App(AppFile):
    """One app with the defaults filled in. `storage` names an existing storage; `keep` None means: never prune.

    An app that names several `storages` is worked on as so many copies, which differ in `storage` alone.
    """

    name: AppName
    storage: Name
    storages: tuple[Name, ...] = ()
    max_age: Duration
    compression: Compression
    nice: bool = False

    @property
    def prunable(self) -> bool:
        """Whether anything of it is ever pruned."""
        others = self.keep is not None and self.keep.other is not None
        return others or any(self.keep_of(source) for source in self.sources)

    def keep_of(self, source: str) -> KeepRules | None:
        """Return the rules for a source: its own, or those of `keep`; None means that nothing of it is ever pruned."""
        dump = self.dumps.get(source)
        return (dump.keep if dump else None) or (self.keep.of(source) if self.keep else None)

    def paused_at(self, now: datetime) -> bool:
        """Whether the app is paused: until its day begins in this machine's zone."""
        return self.paused is not None and now.astimezone().date() < self.paused

    @property
    def copies(self) -> tuple["App", ...]:
        """The app once for each of its storages, in the order of the inventory."""
        if len(self.storages) < 2:
            return (self,)
        return tuple(self.model_copy(update={"storage": storage}) for storage in self.storages)

    @property
    def label(self) -> str:
        """The app's name, followed by the storage if the app has several."""
        return self.name if len(self.storages) < 2 else f"{self.name} on {self.storage}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its archives' names: its own, and those that it had before."""
        return (self.name, *(each for each in self.formerly if each != self.name))

    @property
    def is_local(self) -> bool:
        """Whether the app's host is the operator's own machine, reached without SSH."""
        return self.host == "local"
