"""The kinds of storage: one line for each."""

from collections.abc import Mapping
from typing import Any

from tasks.inventory.storages import StorageConfig
from tasks.storage.base import Means, Storage
from tasks.storage.local import Directory
from tasks.storage.s3 import Bucket
from tasks.storage.sftp import SftpServer
from tasks.storage.ssh import SshServer
from tasks.storage.storagebox import StorageBox

KINDS: Mapping[str, Any] = {
    "storagebox": StorageBox,
    "ssh": SshServer,
    "local": Directory,
    "s3": Bucket,
    "sftp": SftpServer,
}


def opened(name: str, config: StorageConfig, means: Means) -> Storage:
    """Return the storage that the inventory describes under that name. Connections are made when they are needed."""
    storage: Storage = KINDS[config.kind](name, config, means)
    return storage


def with_keys() -> tuple[str, ...]:
    """Return the kinds whose account hosts log in to with keys of their own."""
    return tuple(kind for kind, storage in KINDS.items() if issubclass(storage, SshServer))
