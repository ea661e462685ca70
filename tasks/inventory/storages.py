"""What the inventory says of a storage, whatever its kind. The model of each kind is beside its class."""

from dataclasses import dataclass

from tasks.inventory.secrets import Strict


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
