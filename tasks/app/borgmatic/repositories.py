"""borgmatic's repositories as storages: those of the inventory that hold them already, or new ones.

A repository of ours is `<directory>/<app>`. So one that borgmatic made is taken in under the name that its folder has.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.app.borgmatic.configuration import ENVIRONMENT, Configuration
from tasks.inventory.inventory import Inventory
from tasks.inventory.storages import StorageConfig

_URL = re.compile(r"ssh://(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^]]+\]|[^:/]+)(?::(?P<port>[0-9]+))?/(?P<path>.+)")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^:/]+):(?P<path>.+)")
HOME = "."  # of the account: a repository right in it is in no folder that a storage of ours could name
BOX = ".your-storagebox.de"
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
        values = _storage(path)
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
        known = next((name for name, each in inventory.storages.items() if _same(each, values)), "")
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


def _storage(path: str) -> dict[str, str | int] | None:
    """Return a storage's keys, and under `folder` the name of the repository's own folder."""
    if path.startswith(("/", "file:///")):
        above, _, folder = path.removeprefix("file://").rstrip("/").rpartition("/")
        return {"kind": "local", "directory": above or "/", "folder": folder}
    found = _URL.fullmatch(path) or (None if "://" in path else _SCP.fullmatch(path))
    if found is None:
        return None
    host, user, port = found["host"].strip("[]"), found["user"] or "", found.groupdict().get("port")
    place = found["path"] if "://" not in path else _place(found["path"])
    above, _, folder = place.rstrip("/").rpartition("/")
    if not user or not folder or folder in (".", "..", "~"):
        return None
    values: dict[str, str | int] = {"kind": "ssh", "host": host, "user": user}
    if host.endswith(BOX):
        values = {"kind": "storagebox", "user": user}
    if port and int(port) != (23 if host.endswith(BOX) else 22):
        values["port"] = int(port)
    return {**values, "directory": above or HOME, "folder": folder}


def _place(path: str) -> str:
    """Return the folder of an ssh:// address: `/./x` and `/~/x` are relative to the account's home."""
    if path.startswith(("./", "~/")):
        return path[2:]
    return f"/{path}"


def _same(storage: StorageConfig, values: Mapping[str, str | int]) -> bool:
    """Return whether a storage of the inventory is this one."""
    if storage.kind != values["kind"]:
        return False
    theirs = {key: getattr(storage, key, None) for key in ("host", "user", "directory")}
    port = getattr(storage, "port", None)
    given = [key for key in theirs if key in values]
    same = all(posixpath.normpath(str(theirs[key])) == posixpath.normpath(str(values[key])) for key in given)
    return same and ("port" not in values or port == values["port"])


def _free(text: str, taken: set[str]) -> str:
    """Return a name for a new storage."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", text.lower().removesuffix(BOX)).strip("-_")[:40] or "disk"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}{number}", number + 1
    return name
