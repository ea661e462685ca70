"""A wall of the kernel's (Landlock) around a program: it may write in the folders that are given and nowhere else.

It needs no rights, holds for every program that is started behind it, and is there from Linux 5.19 on (Debian 12,
Ubuntu 24.04, RHEL 9.4). Before that version, hard links between folders could not be allowed. See landlock(7).
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

OLDEST = 2  # version of the interface from which on hard links between folders can be allowed
CREATE, ADD, RESTRICT = 444, 445, 446  # numbers of the system calls, on every processor
NO_NEW_PRIVILEGES = 38  # of prctl
WRITE_FILE, REFER, TRUNCATE = 1 << 1, 1 << 13, 1 << 14
# to remove folders and files; to make devices, folders, files, FIFOs and links; sockets are ssh's own affair
FOLDERS = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | REFER


def version() -> int:
    """Return the version of Landlock that this kernel has, 0 for none that serves."""
    try:
        found = int(_library().syscall(CREATE, None, 0, 1))
    except (ImportError, OSError, AttributeError):
        return 0
    return found if found >= OLDEST else 0


def enter(folders: list[str], files: list[str]) -> None:
    """Let this process, and all that it starts, write in these folders and to these files alone. Raises OSError."""
    library, rights = _library(), WRITE_FILE | FOLDERS | (TRUNCATE if version() >= 3 else 0)
    ruleset = _checked(library.syscall(CREATE, struct.pack("=Q", rights), 8, 0))
    for path in folders:
        _allow(ruleset, path, rights)
    for path in files:
        _allow(ruleset, path, rights & (WRITE_FILE | TRUNCATE))
    _checked(library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(library.syscall(RESTRICT, ruleset, 0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _checked(_library().syscall(ADD, ruleset, 1, struct.pack("=Qi", rights, place), 0))
    finally:
        os.close(place)


def _library() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "landlock")
    return result
