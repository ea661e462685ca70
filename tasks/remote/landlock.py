"""Landlock: restricts a program to the files that it is allowed to read and write.

It needs no privileges, is inherited by every program started afterwards, and is available from Linux 5.19 on
(Debian 12, Ubuntu 24.04, RHEL 9.4). Before that version, hard links between folders could not be allowed. See
landlock(7).

Travels to hosts as a part of programs: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

OLDEST = 2  # ABI version from which on hard links between folders can be allowed
CREATE, ADD, RESTRICT = 444, 445, 446  # system call numbers, the same on every processor
NO_NEW_PRIVILEGES = 38  # prctl(2)
WRITE_FILE, REFER, TRUNCATE = 1 << 1, 1 << 13, 1 << 14
# removing folders and files; making devices, folders, files, FIFOs and links; not sockets, which only ssh makes
FOLDERS = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | REFER


EXECUTE, READ_FILE, READ_FOLDER = 1, 1 << 2, 1 << 3
READ = READ_FILE | READ_FOLDER
DEVICES = 1 << 6 | 1 << 11
SOCKETS = 1 << 9
IOCTL = 1 << 15  # from ABI version 5 on
OWN = READ | WRITE_FILE | FOLDERS & ~DEVICES | SOCKETS  # what a program may do in its own folder
TCP = 3  # bind and connect, from ABI version 4 on
OTHERS = 3  # abstract sockets, and signals to processes outside, from ABI version 6 on


def version() -> int:
    """Return this kernel's Landlock ABI version, 0 if it is missing or too old."""
    try:
        found = int(_library().syscall(CREATE, None, 0, 1))
    except (ImportError, OSError, AttributeError):
        return 0
    return found if found >= OLDEST else 0


def enter(folders: list[str], files: list[str]) -> None:
    """Restrict this process and its children to writing in these folders and to these files. Raises OSError."""
    rights = WRITE_FILE | FOLDERS | (TRUNCATE if version() >= 3 else 0)
    of_files = rights & (WRITE_FILE | TRUNCATE)
    _enter(struct.pack("=Q", rights), {**dict.fromkeys(folders, rights), **dict.fromkeys(files, of_files)})


def enclose(allowed: dict[str, int]) -> None:
    """Restrict this process and its children to these file accesses, by path. Raises OSError.

    Where the kernel supports it, TCP, abstract sockets and signals to processes outside are blocked as well.
    """
    known = version()
    rights = OWN | EXECUTE | DEVICES | (TRUNCATE if known >= 3 else 0) | (IOCTL if known >= 5 else 0)
    attributes = struct.pack("=Q", rights)
    attributes += struct.pack("=Q", TCP) * (known >= 4) + struct.pack("=Q", OTHERS) * (known >= 6)
    writing = TRUNCATE if known >= 3 else 0
    _enter(attributes, {path: each | (writing if each & WRITE_FILE else 0) for path, each in allowed.items()})


def _enter(attributes: bytes, allowed: dict[str, int]) -> None:
    library = _library()
    ruleset = _checked(library.syscall(CREATE, attributes, len(attributes), 0))
    for path, rights in allowed.items():
        _allow(ruleset, path, rights)
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
