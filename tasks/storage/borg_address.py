"""A storage's keys in cloudbackup.yml, out of the address by which borg or another tool names a repository.

A repository of ours is `<directory>/<app>`: the last part of the address is the repository's own folder.
"""

import posixpath
import re
from collections.abc import Mapping

from tasks.inventory.storages import StorageConfig

_URL = re.compile(r"ssh://(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^]]+\]|[^:/]+)(?::(?P<port>[0-9]+))?/(?P<path>.+)")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^:/]+):(?P<path>.+)")
HOME = "."  # of the account: a repository right in it is in no folder that a storage of ours could name
BOX = ".your-storagebox.de"


def keys_of(path: str) -> dict[str, str | int] | None:
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


def is_at(storage: StorageConfig, values: Mapping[str, str | int]) -> bool:
    """Return whether a storage of the inventory is this one."""
    if storage.kind != values["kind"]:
        return False
    theirs = {key: getattr(storage, key, None) for key in ("host", "user", "directory")}
    port = getattr(storage, "port", None)
    given = [key for key in theirs if key in values]
    same = all(posixpath.normpath(str(theirs[key])) == posixpath.normpath(str(values[key])) for key in given)
    return same and ("port" not in values or port == values["port"])
