"""What the inventory says, as frozen models: `CloudbackupFile` and `AppFile` are the files, `App` an app resolved."""

from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, create_model, model_validator

from tasks.inventory.files import Expect, Files
from tasks.inventory.notifications import Notification
from tasks.inventory.secrets import SecretReference, SecretStore, Strict
from tasks.inventory.storages import StorageConfig
from tasks.inventory.values import (
    AppName,
    ChunkSize,
    Commands,
    Compression,
    Duration,
    HostKey,
    HostName,
    HostPath,
    Hours,
    Line,
    Name,
    Names,
    OperatorPath,
    Port,
    Target,
    User,
    Words,
)
from tasks.sources.kinds import BINLOG, FILES, KINDS, MARIADB, is_log

__all__ = [
    "App",
    "AppFile",
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

COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def _something_kept(*others: str) -> dict[str, Any]:
    counts = [{"required": [name], "properties": {name: {"minimum": 1}}} for name in COUNTS]
    return {"anyOf": [*counts, *({"required": [name]} for name in ("within", *others))]}


class KeepRules(Strict):
    """How many archives of one source stay: borg's `--keep-*` options by their own names."""

    model_config = ConfigDict(json_schema_extra=_something_kept())

    last: int = Field(0, ge=0, description="the newest archives, whatever their age")
    hourly: int = Field(0, ge=0, description="one per hour, for so many hours")
    daily: int = Field(0, ge=0, description="one per day, for so many days")
    weekly: int = Field(0, ge=0, description="one per week, for so many weeks")
    monthly: int = Field(0, ge=0, description="one per month, for so many months")
    yearly: int = Field(0, ge=0, description="one per year, for so many years")
    within: Hours | None = Field(None, description="all archives younger than this, whole hours: 48h, 7d")

    @property
    def keeps_something(self) -> bool:
        """Whether any archive would stay by these rules alone."""
        return bool(self.within) or any(getattr(self, name) for name in COUNTS)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self._enough():
            raise ValueError("would keep nothing: at least one number must be more than 0")
        return self

    def _enough(self) -> bool:
        return self.keeps_something


class Keep(KeepRules):
    """How many archives of each source stay; a source may have rules of its own in place of the others."""

    model_config = ConfigDict(json_schema_extra=_something_kept(*KINDS))

    files: KeepRules | None = Field(None, description="rules for the files alone")
    mariadb: KeepRules | None = Field(None, description="rules for the MariaDB server alone")
    binlog: KeepRules | None = Field(None, description="rules for the binary logs alone")

    def of(self, source: str) -> KeepRules | None:
        """Return the rules for a source; None when nothing is said of it, so that nothing of it is ever pruned."""
        own: KeepRules | None = getattr(self, source)
        return own or (self if self.keeps_something else None)

    def _enough(self) -> bool:
        return self.keeps_something or any(getattr(self, source) for source in KINDS)


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


def cloudbackup_file(kinds: Mapping[str, type[StorageConfig]]) -> type[CloudbackupFile]:
    """Return the model of cloudbackup.yml where these kinds of storage are known: a model for each `kind`."""
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


class MariaDB(Strict):
    """The source `mariadb`, and `binlog` where wanted."""

    defaults_file: HostPath | None = Field(None, description="option file on the host with user and password")
    socket: HostPath | None = Field(None, description="the server's socket on the host")
    host: HostName | None = Field(None, description="the server's address as its host sees it, for TCP")
    port: Port | None = Field(None, description="the server's port, for TCP")
    user: User | None = Field(None, description="the database account")
    password: SecretReference | None = Field(None, description="the database account's password")
    exec: Words = Field((), description="what runs the database tools where they live: docker exec -i shop-db")
    binlog: bool = Field(default=False, description="archive binary logs as well, for point-in-time recovery")
    datadir: HostPath | None = Field(None, description="the data directory on the host; asked of the server otherwise")
    stop: Words = Field(("systemctl", "stop", "mariadb"), description="stops the server, for a restore")
    start: Words = Field(("systemctl", "start", "mariadb"), description="starts the server after a restore")
    verify: tuple[Line, ...] = Field((), description="queries that must each answer 1 on a restored copy")
    chunk_size: ChunkSize = Field(None, description="the repository's chunk size; auto goes by size and memory")
    startup_wait_timeout: Duration = Field(
        timedelta(minutes=10), description="how long the backup waits for locks that others hold"
    )
    checkpoint: bool = Field(default=True, description="have the server write its changed pages before the copy")
    parallel: int = Field(1, ge=1, le=64, description="threads that copy data files")
    throttle: int | None = Field(
        None, ge=1, description="most pairs of read and write a second while copying, each 10 MiB"
    )
    damaged: Literal["fail", "save"] = Field(
        "fail",
        description="when a table has a damaged page on the server: fail, or save all the same, as `incomplete`",
    )
    safe_slave_backup: bool = Field(
        default=False,
        description="on a replica: stop its SQL thread while temporary tables are open, and start it again",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.socket and (self.host or self.port):
            raise ValueError("has socket and host or port: give one way to the server")
        return self


class AppFile(Strict):
    """apps/<app>.yml: one app."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [key]} for key in KINDS if not is_log(key)]})

    host: Target = Field(description="[user@]host as in ssh, or local")
    ssh: SshOptions = Field(SshOptions(), description="how to reach the host, beyond what ~/.ssh/config says")
    passphrase: SecretReference = Field(description="the repository's passphrase: {env}, {file} or {command}")
    storage: Names | None = Field(
        None, description="a storage's name, the default one otherwise; a list of several gives each a copy of its own"
    )
    storage_key: Literal["host", "agent"] = Field(
        "host", description="host: a key of its own on the host, append-only; agent: served by the operator's process"
    )
    files: Files | None = Field(None, description="files to back up")
    mariadb: MariaDB | None = Field(None, description="the MariaDB server to back up")
    before: Commands = Field((), description="commands on the host before a backup")
    after: Commands = Field((), description="commands on the host after a backup, whatever happened")
    notify: tuple[Notification, ...] = Field((), description="who is told how a run over this app ended")
    max_age: Duration | None = Field(None, description="a backup older than this is late: 26h, 2d")
    keep: Keep | None = Field(None, description="what prune keeps, in place of the default")
    compression: Compression | None = Field(None, description="borg's compression, in place of the default")

    @model_validator(mode="after")
    def _something_to_back_up(self) -> Self:
        if not self.files and not self.mariadb:
            raise ValueError("has nothing to back up: give `files`, `mariadb` or both")
        return self


class App(AppFile):
    """One app with the defaults filled in. `storage` names an existing storage; `keep` None means: never prune.

    An app that names several `storages` is worked on as so many copies, which differ in `storage` alone.
    """

    name: AppName
    storage: Name
    storages: tuple[Name, ...] = ()
    max_age: Duration
    compression: Compression

    @property
    def sources(self) -> tuple[str, ...]:
        """What is backed up of this app, in the order in which it is done."""
        mariadb = self.mariadb
        wanted: dict[str, bool] = {
            FILES.name: self.files is not None,
            MARIADB.name: mariadb is not None,
            BINLOG.name: mariadb is not None and mariadb.binlog,
        }
        return tuple(source for source, present in wanted.items() if present)

    @property
    def copies(self) -> tuple["App", ...]:
        """The app once for each of its storages, in the order in which it names them."""
        if len(self.storages) < 2:
            return (self,)
        return tuple(self.model_copy(update={"storage": storage}) for storage in self.storages)

    @property
    def label(self) -> str:
        """The app's name, with the storage where that does not go without saying."""
        return self.name if len(self.storages) < 2 else f"{self.name} on {self.storage}"

    @property
    def is_local(self) -> bool:
        """Whether the app's host is the operator's own machine, reached without SSH."""
        return self.host == "local"
