"""The kinds of storage as the inventory describes them: one model for each kind, told apart by `kind`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from tasks.inventory.secrets import SecretReference, Strict
from tasks.inventory.values import (
    BoxDirectory,
    Directory,
    HostKey,
    HostName,
    HostPath,
    Line,
    OperatorPath,
    Program,
    User,
    matching,
)

SUB = "-sub"  # between a Storage Box's account and the number of a sub-account: u123456-sub1
Port = Annotated[int, Field(ge=1, le=65535)]

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
PREFIX = r"^(?!/)(?!(?:.*/)?\.\.(?:/|$))[A-Za-z0-9_./-]*$"
ENDPOINT = r"^https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._/-]*)?$"


@dataclass(frozen=True)
class SshAccount:
    """An account on an SSH server; `host_key` is None where it is not pinned."""

    user: str
    host: str
    port: int
    host_key: str | None


class StorageConfig(Strict):
    """What the inventory says of one storage; each kind has a model of its own."""

    kind: str

    @property
    def account(self) -> SshAccount | None:
        """The account that hosts log in to with keys of their own; None where no host has such a key."""
        return None

    @property
    def connections_of(self) -> str | None:
        """Whose connections are limited: storages of one name share them; None where nothing limits them."""
        return None

    @property
    def mounted(self) -> str | None:
        """The directory that must be mounted where borg runs; None where the storage is reached by network."""
        return None


class StorageBox(StorageConfig):
    """A Hetzner Storage Box: `borg serve` behind a restricted shell."""

    kind: Literal["storagebox"]
    user: User = Field(description="the box's account, such as u123456 or u123456-sub1")
    host: HostName = Field("", description="<user>.your-storagebox.de unless given")
    port: Port = Field(23, description="23 is the port with borg; 22 has SFTP alone")
    directory: BoxDirectory = Field(description="repositories are <directory>/<app>, in the account's home")
    borg: Program = Field("borg-1.4", description="borg's name on the box")
    host_key: HostKey | None = Field(None, description="the box's public key, pinned: `ssh-ed25519 AAAA...`")
    key: OperatorPath | None = Field(None, description="the operator's private key with full access")
    token: SecretReference | None = Field(None, description="Hetzner API token, for tasks that use the API")
    box: Annotated[int, Field(ge=1)] | None = Field(None, description="the box's id in Hetzner's API")
    endpoint: Annotated[
        str,
        matching(ENDPOINT, "the API's address"),
        WithJsonSchema({"type": "string", "pattern": ENDPOINT}),
    ] = Field("https://api.hetzner.com/v1", description="the API's address; another one only for tests")

    def model_post_init(self, _context: object) -> None:
        """Fill in the host that every box has by its account's name."""
        if not self.host:
            object.__setattr__(self, "host", f"{self.user}.your-storagebox.de")

    @property
    def account(self) -> SshAccount:
        """The box's account."""
        return SshAccount(self.user, self.host, self.port, self.host_key)

    @property
    def connections_of(self) -> str:
        """The box's main account: its sub-accounts may share its connections."""
        return self.user.partition(SUB)[0]


class SshStorage(StorageConfig):
    """Any SSH server with borg."""

    kind: Literal["ssh"]
    host: HostName = Field(description="the server's name or address")
    user: User = Field(description="the account there")
    port: Port = Field(22, description="the SSH server's port")
    directory: Directory = Field(description="repositories are <directory>/<app>; relative: to the account's home")
    borg: Program = Field("borg", description="borg's name on the server")
    host_key: HostKey | None = Field(None, description="the server's public key, pinned: `ssh-ed25519 AAAA...`")
    key: OperatorPath | None = Field(None, description="the operator's private key with full access")

    @property
    def account(self) -> SshAccount:
        """The account on the server."""
        return SshAccount(self.user, self.host, self.port, self.host_key)


class LocalStorage(StorageConfig):
    """A directory on the machine where borg runs: a disk, NFS, a Kubernetes volume."""

    kind: Literal["local"]
    directory: HostPath = Field(description="repositories are <directory>/<app>")

    @property
    def mounted(self) -> str:
        """The directory itself."""
        return self.directory


class S3Storage(StorageConfig):
    """A bucket: the repository lives in `staging` on the app's host and is published from there."""

    kind: Literal["s3"]
    endpoint: Annotated[
        str,
        matching(ENDPOINT, "an address such as https://fsn1.your-objectstorage.com"),
        WithJsonSchema({"type": "string", "pattern": ENDPOINT}),
    ] = Field(description="the object storage's address")
    bucket: Annotated[
        str,
        matching(BUCKET, "a bucket's name: 3 to 63 of a-z, 0-9, `.`, `-`"),
        WithJsonSchema({"type": "string", "pattern": BUCKET}),
    ] = Field(description="the bucket's name")
    prefix: Annotated[
        str,
        matching(PREFIX, "a prefix without `..` and without a slash at its beginning"),
        WithJsonSchema({"type": "string", "pattern": PREFIX}),
    ] = Field("", description="repositories are <prefix>/<app>")
    region: Line | None = Field(None, description="where the provider asks for one")
    access_key: SecretReference = Field(description="the access key's id")
    secret_key: SecretReference = Field(description="the access key's secret")
    staging: HostPath = Field(description="folder on the app's host for the repository itself")


class SftpStorage(StorageConfig):
    """An SFTP server without borg: the repository lives in `staging` on the app's host and is published from there."""

    kind: Literal["sftp"]
    host: HostName = Field(description="the server's name or address")
    user: User = Field(description="the account there")
    port: Port = Field(22, description="the SFTP server's port")
    directory: Directory = Field(description="repositories are <directory>/<app>; relative: to the account's home")
    host_key: HostKey | None = Field(None, description="the server's public key, pinned: `ssh-ed25519 AAAA...`")
    key: OperatorPath | None = Field(None, description="the operator's private key; a host has a key of its own")
    password: SecretReference | None = Field(None, description="the account's password, where keys are not wanted")
    staging: HostPath = Field(description="folder on the app's host for the repository itself")


Storage = Annotated[
    StorageBox | SshStorage | LocalStorage | S3Storage | SftpStorage,
    Field(discriminator="kind"),
]
STORAGE_KINDS: dict[str, type[Strict]] = {
    "storagebox": StorageBox,
    "ssh": SshStorage,
    "local": LocalStorage,
    "s3": S3Storage,
    "sftp": SftpStorage,
}
