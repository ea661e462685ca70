"""The registry of storage kinds, one line each, and loading the inventory with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tasks.inventory import loading
from tasks.inventory.inventory import Inventory
from tasks.inventory.storages import StorageConfig
from tasks.storage.base import Means, Storage
from tasks.storage.local import Directory, LocalStorage
from tasks.storage.s3 import Bucket, S3Storage
from tasks.storage.sftp import SftpServer, SftpStorage
from tasks.storage.ssh import SshServer, SshStorage
from tasks.storage.storagebox import StorageBox, StorageBoxServer


class Kind(NamedTuple):
    """The inventory model of a kind, the class that implements it, and what a first storage of it is called."""

    config: type[StorageConfig]
    storage: Any  # a subclass of Storage, constructed with a name, such a config, and Means
    first_name: str


KINDS: Mapping[str, Kind] = {
    "storagebox": Kind(StorageBox, StorageBoxServer, "box"),
    "ssh": Kind(SshStorage, SshServer, "ssh"),
    "local": Kind(LocalStorage, Directory, "disk"),
    "s3": Kind(S3Storage, Bucket, "s3"),
    "sftp": Kind(SftpStorage, SftpServer, "sftp"),
}
USUAL = next(iter(KINDS))  # the kind that is offered first
CONFIGS: Mapping[str, type[StorageConfig]] = {name: kind.config for name, kind in KINDS.items()}


def load(folder: Path) -> Inventory:
    """Read the inventory below `folder`. Raise `tasks.inventory.errors.InventoryError` with every fault found."""
    return loading.load(folder, CONFIGS)


def opened(name: str, config: StorageConfig, means: Means) -> Storage:
    """Return the storage that the inventory describes under that name. Connections are opened when needed."""
    storage: Storage = KINDS[config.kind].storage(name, config, means)
    return storage


def with_keys() -> tuple[str, ...]:
    """Return the kinds where hosts log in to the account with their own keys."""
    return tuple(name for name, kind in KINDS.items() if issubclass(kind.storage, SshServer))
