"""Storage kind `storagebox`: a Hetzner Storage Box, with its restricted shell on port 23."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from tasks.inventory.models import App
from tasks.inventory.secrets import SecretReference
from tasks.inventory.storages import SshAccount, StorageConfig
from tasks.inventory.values import (
    ENDPOINT,
    BoxDirectory,
    HostKey,
    HostName,
    OperatorPath,
    Port,
    Program,
    User,
    matching,
)
from tasks.storage.base import Usage
from tasks.storage.space import parse_df
from tasks.storage.ssh import SshServer

SUB = "-sub"  # between a box's account and the number of a sub-account: u123456-sub1


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
        """Fill in the default host, which is derived from the account's name."""
        if not self.host:
            object.__setattr__(self, "host", f"{self.user}.your-storagebox.de")

    @property
    def account(self) -> SshAccount:
        """The box's account."""
        return SshAccount(self.user, self.host, self.port, self.host_key)

    @property
    def connections_of(self) -> str:
        """The box's main account: its sub-accounts may share its connection limit."""
        return self.user.partition(SUB)[0]


class StorageBoxServer(SshServer):
    """An SSH server with some peculiarities: a restricted shell, BSD's df, and `borg-1.4` as the name of borg."""

    both_ports = True
    unreachable_remedy = (
        "look at that machine's firewall and network, and at the box's: "
        "`inv storagebox.access` shows whether it takes SSH from outside"
    )

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002  # the box is one pool
        """Run `df`: the box accepts no arguments that would name a folder; its single row is the whole box."""
        return parse_df(self.server.command(("df", "-k")), self.server.name)
