"""The inventory: what is backed up, and where to. `load` reads it; `models` says what it holds."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.inventory.inventory import Inventory


def load(folder: Path) -> "Inventory":
    """Read the inventory below `folder`. Raise `tasks.inventory.errors.InventoryError` with every fault found."""
    from tasks.inventory import loading

    return loading.load(folder)
