"""Confines a command to its folder where namespaces are not available. Part of `walls`, which sends it to hosts.

Landlock denies access to all other files; seccomp blocks the network and the system calls that could get around either
(seccomp(2)). What remains possible: connecting to other programs' sockets in the file system, changing file modes, and
reading command lines. Standard library only, Python 3.8 and later, plus `landlock` and `own_root`, which travel too.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from tasks.remote.landlock import EXECUTE, OWN, READ, READ_FILE, WRITE_FILE, enclose, version
from tasks.remote.own_root import DEVICES, SETTINGS, SYSTEM, NoWallsError, library

if TYPE_CHECKING:
    from collections.abc import Iterable

SET_SECCOMP, FILTER = 22, 2  # prctl(2)
BAD_ADDRESS = 14  # EFAULT: a kernel with seccomp filters answers so to a null pointer in place of a filter
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: load a word, jump if equal or not less, return
NUMBER, MACHINE, FIRST = 0, 4, 16  # offsets in struct seccomp_data: system call number, architecture, first argument
ALLOW, KILL, NOT_PERMITTED = 0x7FFF0000, 0x80000000, 0x00050001
UNIX = 1  # AF_UNIX, the only socket family that is allowed
X32 = 0x40000000  # first system call number of the x32 ABI on x86_64
# Numbers from asm/unistd_64.h and asm-generic/unistd.h. For each machine: its audit architecture, the number of
# socket(2), and the calls that are refused: other processes' memory, files and keys; mounts and namespaces; io_uring,
# which opens sockets by itself; files by handle; and truncate by name, which Landlock covers only from version 3 on.
MACHINES = {
    "x86_64": (0xC000003E, 41, (
        101, 310, 311, 312, 438, 248, 249, 250, 155, 161, 165, 166, 272, 308, 428, 429, 430, 442, 425, 304, 298, 321,
        323, 76,
    )),
    "aarch64": (0xC00000B7, 198, (
        117, 270, 271, 272, 438, 217, 218, 219, 41, 51, 40, 39, 97, 268, 428, 429, 430, 442, 425, 265, 241, 280, 282,
        45,
    )),
}  # fmt: skip


def confine(own: Iterable[str], keys: Iterable[str]) -> None:
    """Confine this process and all its children to the folders `own`; `keys` are files that it may read.

    Raises NoWallsError, OSError.
    """
    require()
    system = [f"/{name}" for name in SYSTEM]
    settings = [f"/etc/{name}" for name in SETTINGS]
    allowed = {
        **dict.fromkeys(filter(os.path.isdir, system), READ | EXECUTE),
        **dict.fromkeys(filter(os.path.isdir, settings), READ),
        **dict.fromkeys(filter(os.path.isfile, settings), READ_FILE),
        **dict.fromkeys(existing(f"/dev/{name}" for name in DEVICES), READ_FILE | WRITE_FILE),
        **dict.fromkeys(keys, READ_FILE),
        "/proc": READ,
        **dict.fromkeys(own, OWN),
    }
    enclose(allowed)
    program = filtered(os.uname().machine)
    code = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if library.prctl(SET_SECCOMP, FILTER, head, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def existing(paths: Iterable[str]) -> list[str]:
    """Return the paths that exist."""
    return [path for path in paths if os.path.exists(path)]  # noqa: PTH110


def require() -> None:
    """Raise NoWallsError if the kernel or the processor lacks what is needed."""
    if os.uname().machine not in MACHINES or not version():
        raise NoWallsError("Landlock: not known to this kernel")
    if library.prctl(SET_SECCOMP, FILTER, None, 0, 0) == 0 or ctypes.get_errno() != BAD_ADDRESS:
        raise NoWallsError("seccomp: not known to this kernel")


def filtered(machine: str) -> bytes:
    """Return the seccomp BPF program for a machine."""
    itself, socket, refused = MACHINES[machine]
    checks = [(EQUAL, socket), *((EQUAL, each) for each in refused)]
    if machine == "x86_64":
        checks.append((AT_LEAST, X32))
    lines = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, itself), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    for place, (how, number) in enumerate(checks):
        left = len(checks) - place - 1  # the list ends with ALLOW, then the socket check, then the refusal
        lines.append((how, left + (1 if place == 0 else 3), 0, number))
    lines += [
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST),
        (EQUAL, 1, 0, UNIX),
        (RETURN, 0, 0, NOT_PERMITTED),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
