"""Checks the room for a restore: bytes, inodes, and the length of paths and names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasks.borg.host.places import PATH_MAX, SPARE, SPARE_INODES, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.borg.host.entries import Look


def require_room(restores: list[tuple[Path, Look]]) -> None:
    """Raise Refused if a file system has less room than the data to be written to it, given per folder."""
    needs: dict[int, tuple[Path, int, int]] = {}
    for folder, look in restores:
        device = folder.stat().st_dev
        _, size, count = needs.get(device, (folder, SPARE, SPARE_INODES))
        needs[device] = (folder, size + look.bytes, count + look.inodes)
        check_lengths(folder, look)
    for folder, size, count in needs.values():
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if free < size:
            raise Refused(f"{folder.parent} has {free // 10**6} MB free, {size // 10**6 + 1} MB are needed")
        if status.f_files and status.f_favail < count:  # some file systems create inodes on demand
            raise Refused(f"{folder.parent} has {status.f_favail} inodes free, {count} are needed")


def check_lengths(folder: Path, look: Look) -> None:
    """Raise Refused if a path or name would be too long below a folder."""
    longest = len(bytes(folder)) + 1 + look.longest
    if longest >= PATH_MAX:
        raise Refused(f"the longest path would have {longest} bytes below {folder}, {PATH_MAX - 1} are possible")
    most = os.statvfs(folder).f_namemax
    if most and look.name > most:
        raise Refused(f"a name has {look.name} bytes, {most} are possible in {folder}")
