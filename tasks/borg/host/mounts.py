"""The mounted file systems of a host. Part of `paths.py`: standard library only, Python 3.8 or later."""

from __future__ import annotations

import os
import re
from typing import Iterator

# The kernel's own: they hold nobody's data, and reading some of it never ends.
KERNEL = frozenset(
    (
        *("proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "debugfs", "tracefs", "securityfs"),
        *("selinuxfs", "configfs", "pstore", "bpf", "fusectl", "hugetlbfs", "binfmt_misc", "rpc_pipefs", "nfsd"),
        *("nsfs", "efivarfs", "fuse.lxcfs", "fuse.portal"),
    )
)
# Their data is stored elsewhere, or does not exist until it is requested.
SHOWN = frozenset(("overlay", "autofs"))
NAME = re.compile(rb"\\([0-7]{3})")


def mounted(file: str = "/proc/self/mountinfo") -> list[tuple[str, str]]:
    """Return mount points with their types, only the topmost if several; empty if unknown.

    From field 5 and the first one after the dash (`man 5 proc`).
    """
    try:
        with open(file, "rb") as lines:
            rows = [line.split() for line in lines]
    except OSError:
        return []
    found = {}
    for row in rows:
        place = os.fsdecode(NAME.sub(lambda each: bytes([int(each[1], 8)]), row[4]))
        found[place] = os.fsdecode(row[row.index(b"-") + 1])
    return sorted(found.items())


def kind(path: str, table: list[tuple[str, str]]) -> str:
    """Return the type of the file system that holds a path; empty if unknown."""
    holding = [each for each in table if inside(path, each[0])]
    return max(holding, key=lambda each: len(each[0]))[1] if holding else ""


def inside(path: str, folder: str) -> bool:
    """Return whether a path is at or below a folder, judged by the names alone."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def device(path: str) -> int | None:
    """Return the device number that borg compares; None if stat fails."""
    try:
        return os.lstat(path).st_dev
    except OSError:
        return None


def subvolumes(root: str) -> Iterator[str]:
    """Yield folders below a root on another file system that is not in the mount table: subvolumes."""
    own = device(root)
    todo = [root]
    while todo:
        for entry in folders(todo.pop()):
            if device(entry) == own:
                todo.append(entry)
            else:
                yield entry


def hollow(place: str) -> bool:
    """Return whether a folder only marks where a subvolume was when a snapshot was taken: it has inode 2."""
    try:
        return os.lstat(place).st_ino == 2
    except OSError:
        return False


def folders(path: str) -> list[str]:
    """Return the folders in a folder; empty if it cannot be read, which borg reports."""
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
