"""The inventory's settings common to all kinds of storage. The model of each kind is beside its class."""

from dataclasses import dataclass

from tasks.inventory.secrets import Strict


@dataclass(frozen=True)
class SshAccount:
    """An account on an SSH server; `host_key` is None if it is not pinned."""

    user: str
    host: str
    port: int
    host_key: str | None


class StorageConfig(Strict):
    """What the inventory says of one storage; each kind has a model of its own."""

    kind: str

    @property
    def account(self) -> SshAccount | None:
        """The account where hosts log in with their own keys; None if hosts have no such keys."""
        return None

    @property
    def connections_of(self) -> str | None:
        """The account whose connections are limited: storages with the same one share them; None without a limit."""
        return None

    @property
    def mounted(self) -> str | None:
        """The directory that must be mounted where borg runs; None if the storage is reached over the network."""
        return None
