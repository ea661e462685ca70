"""Selects the storages that a task works on."""

from collections.abc import Sequence

from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.storage.storagebox import SUB


def storages(inventory: Inventory, names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the named storages, or all of the kind `storagebox` if none is named.

    Raises UsageError for an unknown name, a kind that is not in `kinds`, and if there is no storage.
    """
    for name in names:
        if name not in inventory.storages:
            raise UsageError(f"the inventory has no storage `{name}`{nearest(name, inventory.storages)}")
        kind = inventory.storages[name].kind
        if kind not in kinds:
            raise UsageError(f"storage {name} is of the kind {kind}: this is for {' and '.join(kinds)}")
    chosen = list(names) or [name for name, storage in inventory.storages.items() if storage.kind == "storagebox"]
    if not chosen:
        raise UsageError("the inventory has no storage box", "name another storage with --storage")
    return chosen


def one(inventory: Inventory, name: str, kinds: Sequence[str] = ("storagebox",)) -> str:
    """Return the named storage, or the only box, not counting sub-accounts. Raises UsageError."""
    chosen = storages(inventory, [name] if name else [], kinds)
    if len(chosen) > 1:  # a sub-account is part of its box
        chosen = [each for each in chosen if SUB not in getattr(inventory.storages[each], "user", "")] or chosen
    if len(chosen) > 1:
        raise UsageError(f"there are several storage boxes: {', '.join(chosen)}", "name one with --storage")
    return chosen[0]


def apps_of(inventory: Inventory, storage: str) -> tuple[App, ...]:
    """Return the apps with a repository in a storage."""
    return tuple(copy for app in inventory.apps.values() for copy in app.copies if copy.storage == storage)
