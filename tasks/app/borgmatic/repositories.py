"""borgmatic's repositories as storages: those of the inventory that hold them already, or new ones.

A repository of ours is `<directory>/<app>`. So one that borgmatic made is taken in under the name that its folder has.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.app.borgmatic.configuration import ENVIRONMENT, Configuration
from tasks.inventory.inventory import Inventory
from tasks.storage.borg_address import BOX, HOME, is_at, keys_of

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?!\.))*")


@dataclass(frozen=True)
class Repository:
    """One repository: its place in the configuration's list, the name of its folder, and the storage that holds it.

    `values` are the storage's keys as in cloudbackup.yml; `known` is its name there, empty for a new one.
    """

    at: int
    folder: str
    values: Mapping[str, str | int]
    name: str
    known: str = ""


def repositories(config: Configuration, inventory: Inventory) -> list[Repository]:
    """Return the configuration's repositories; notes those that cannot be a storage of ours. Raises UsageError."""
    found: list[Repository] = []
    taken = set(inventory.storages)
    for at, label, path in _written(config):
        values = keys_of(path)
        if values is None or ENVIRONMENT.search(path):
            config.note("left", "repositories", f"{path}: no kind of storage here reaches it by that address", at)
            continue
        folder = str(values.pop("folder"))
        if values["directory"] == HOME:
            config.note("left", "repositories", f"{path}: move it into a folder of that account, and name that", at)
            continue
        if any(each.values == values for each in found):
            what = "is beside another one of this app: a storage holds one repository of each app"
            config.note("left", "repositories", f"{path}: {what}", at)
            continue
        known = next((name for name, each in inventory.storages.items() if is_at(each, values)), "")
        name = known or _free(label or str(values.get("host", "disk")), taken)
        taken.add(name)
        found.append(Repository(at, folder, values, name, known))
    return found


def _written(config: Configuration) -> Iterator[tuple[int, str, str]]:
    """Yield place in the list, label and address of each repository: groups, or plain texts before borgmatic 1.7.10."""
    value = config.take("repositories")
    if value is None:
        return
    if not isinstance(value, list):
        raise config.wrong("repositories", "must be a list")
    for at, each in enumerate(value):
        if isinstance(each, str):
            yield at, "", each
        elif isinstance(each, dict) and isinstance(each.get("path"), str):
            yield at, str(each.get("label") or ""), str(each["path"])
        else:
            raise config.wrong("repositories", "must be a list of groups with a path")


def _free(text: str, taken: set[str]) -> str:
    """Return a name for a new storage."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", text.lower().removesuffix(BOX)).strip("-_")[:40] or "disk"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}{number}", number + 1
    return name
