"""A root directory of its own for a command. Part of `walls`, which sends it to hosts.

Found by experiment (Linux 6.18) and in mount_namespaces(7): mounts from a more privileged namespace can only be bound
recursively, and keep their flags; the old root must be detached, or the command can reach it. Standard library only,
Python 3.8 and later.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pwd

TEMPORARY = "/tmp"  # noqa: S108 (its own)
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "nix", "gnu", "sys/fs/cgroup")
SETTINGS = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "alternatives", "nsswitch.conf", "ssl/openssl.cnf",
    "pki/tls/openssl.cnf", "crypto-policies",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom")

NEW_MOUNTS, NEW_NAMES, NEW_IPC, NEW_USERS, NEW_PIDS, NEW_NETWORK = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)  # fmt: skip
READ_ONLY, NO_SETUID, NO_DEVICES, NO_PROGRAMS, AGAIN, BIND, ALL_BELOW, PRIVATE = (
    1, 2, 4, 8, 32, 0x1000, 0x4000, 0x40000)  # fmt: skip
DETACH = 2  # MNT_DETACH of umount2(2)
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "armv7l": 218, "i686": 217, "ppc64le": 203, "s390x": 217, "riscv64": 41}

library = ctypes.CDLL(None, use_errno=True)


class NoWallsError(Exception):
    """The system does not allow the isolation that `walls` needs."""


def called(result: int, what: str) -> None:
    """Raise NoWallsError if a system call failed."""
    if result != 0:
        raise NoWallsError(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system or change a mount. Raises NoWallsError."""
    words = (os.fsencode(source), os.fsencode(target), kind.encode())
    called(library.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def unshare(flags: int) -> None:
    """Enter new namespaces. Raises NoWallsError."""
    called(library.unshare(flags), "namespaces")


def mounts_below(target: str) -> list[str]:
    """Return the mount points at and below a path, from mountinfo of proc(5)."""
    found = []
    for line in Path("/old/proc/self/mountinfo").read_bytes().splitlines():
        point = re.sub(rb"\\(\d{3})", lambda octal: bytes([int(octal[1], 8)]), line.split()[4])
        if os.fsdecode(point) == target or os.fsdecode(point).startswith(target + "/"):
            found.append(os.fsdecode(point))
    return found


def show(source: str, target: str, flags: int) -> None:
    """Bind-mount `source` of the old root at `target`, and apply `flags` to it and all mounts below it."""
    mount(source, target, "", BIND | ALL_BELOW)
    for point in mounts_below(target):
        try:
            had = os.statvfs(point).f_flag
        except OSError:  # another user's mount, such as FUSE: it cannot be read anyway
            continue
        locked = had & (READ_ONLY | NO_SETUID | NO_DEVICES | NO_PROGRAMS | 1024 | 2048) | (had & 4096) << 9
        mount("", point, "", AGAIN | BIND | locked | flags)


def empty(target: str, options: str) -> None:
    """Mount an empty tmpfs."""
    mount("tmpfs", target, "tmpfs", NO_SETUID | NO_DEVICES, options)


def make(path: str) -> None:
    """Make a directory and its missing parents, all with search permission for everybody."""
    before = os.umask(0o022)
    os.makedirs(path, exist_ok=True)  # noqa: PTH103 (Path.mkdir gives those above it other modes)
    os.umask(before)


def build(folder: str, also: list[str], keys: dict[str, bytes], user: pwd.struct_passwd | None) -> None:
    """Build a root directory with everything the command may see. Raises NoWallsError, OSError.

    `folder`, the working directory, and `also` are writable; `keys` are the contents of files by their paths.
    """
    sources = {path: f"/old{os.path.realpath(path)}" for path in also}
    enter()
    show_system()
    show_devices()
    describe(user)
    limits = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    for path in (folder, *also):
        make(path)
        show(sources.get(path, "."), path, limits)
    for path, content in keys.items():
        put(path, content, user)
    called(library.umount2(b"/old", DETACH), "umount")
    os.rmdir("/old")  # noqa: PTH106
    mount("", "/", "", AGAIN | BIND | READ_ONLY | NO_SETUID | NO_DEVICES)


def enter() -> None:
    """Make an empty root directory and enter it; the old root is mounted below it."""
    mount("", "/", "", ALL_BELOW | PRIVATE)
    base = next(path for path in (TEMPORARY, "/mnt", "/media", "/opt") if Path(path).is_dir())
    empty(base, "mode=755,size=16m")
    make(f"{base}/old")
    number = PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise NoWallsError(f"pivot_root is not known on {os.uname().machine}")
    called(library.syscall(number, base.encode(), f"{base}/old".encode()), "pivot_root")


def show_system() -> None:
    """Mount the programs and their configuration, read-only."""
    for name in SYSTEM:
        source = Path("/old", name)
        if source.is_symlink():
            Path("/", name).symlink_to(os.readlink(str(source)))  # noqa: PTH115 (Path has it since Python 3.9)
        elif source.is_dir():
            make(f"/{name}")
            show(str(source), f"/{name}", READ_ONLY | NO_SETUID | NO_DEVICES)
    for name in SETTINGS:
        show_one(f"etc/{name}", READ_ONLY | NO_SETUID)


def show_one(name: str, flags: int) -> None:
    """Mount one file or directory of the old root, if it exists."""
    source, target = Path("/old", name), Path("/", name)
    if source.is_dir():
        make(str(target))
    elif source.exists():
        make(str(target.parent))
        target.touch()
    else:
        return
    show(str(source), str(target), flags)


def show_devices() -> None:
    """Provide the few devices that programs need, a /proc of our own processes, and a /tmp."""
    for name in DEVICES:
        show_one(f"dev/{name}", NO_SETUID)
    make("/proc")
    make(TEMPORARY)
    empty(TEMPORARY, "mode=1777,size=64m")
    flags = ctypes.c_ulong(NO_SETUID | NO_DEVICES | NO_PROGRAMS)
    if library.mount(b"proc", b"/proc", b"proc", flags, None) == 0:  # refused if a container masks parts of /proc
        Path("/dev/fd").symlink_to("/proc/self/fd")


def describe(user: pwd.struct_passwd | None) -> None:
    """Write passwd and group files that contain only this user."""
    name, number = (user.pw_name, user.pw_uid) if user else ("operator", os.getuid())
    Path("/etc/passwd").write_text(f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n")
    Path("/etc/group").write_text(f"{name}:x:{number}:\n")


def put(path: str, content: bytes, user: pwd.struct_passwd | None) -> None:
    """Copy a file to the same path in the new root, in memory, readable by its user only."""
    make("/keys")
    copy = Path("/keys", str(len(list(Path("/keys").iterdir()))))
    copy.write_bytes(content)
    copy.chmod(0o400)
    if user is not None:
        os.chown(str(copy), user.pw_uid, user.pw_gid)
    if not Path(path).exists():
        make(str(Path(path).parent))
        Path(path).touch()
    mount(str(copy), path, "", BIND)
