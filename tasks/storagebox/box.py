"""One Storage Box, accessed through Hetzner's API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import AppError, UsageError
from tasks.inventory.inventory import Inventory
from tasks.remote.secret import resolve
from tasks.storage.storagebox import SUB, StorageBox

if TYPE_CHECKING:
    from hcloud.storage_boxes import BoundStorageBox


@dataclass(frozen=True)
class Box:
    """The storage's name and settings in the inventory, and hcloud's object for the box."""

    name: str
    config: StorageBox
    bound: "BoundStorageBox"


@contextmanager
def opened(inventory: Inventory, name: str) -> Iterator[Box]:
    """Yield the box of a storage; errors of the API in the block become AppErrors.

    Raises UsageError for a storage that is not a box or has no token.
    """
    config = inventory.storages[name]
    if not isinstance(config, StorageBox):
        raise UsageError(f"storage {name} is of the kind {config.kind}: this is for storagebox")
    if config.token is None:
        raise UsageError(
            f"storage {name} has no `token` for Hetzner's API",
            "make one in the Console, in the project of the box, and add `token: {env: HCLOUD_TOKEN}` to the storage",
        )
    from tasks.remote.hetzner import client, explained

    token = resolve(config.token, f"the API token of {name}")
    with explained(name):
        boxes = client(token, config.endpoint).storage_boxes
        if config.box is not None:
            yield Box(name, config, boxes.get_by_id(config.box))
            return
        account = config.user.partition(SUB)[0]
        found = [each for each in boxes.get_all() if each.username == account]
        if not found:
            raise AppError(
                f"{name}: the token's project has no box of the account {account}", "is it another project's?"
            )
        yield Box(name, config, found[0])
