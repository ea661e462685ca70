"""Gives the real `borg serve` the limits of its account: pool quota, read-only, nothing writable outside its home.

Python imports a module of this name by itself at start-up; the emulator puts this folder on PYTHONPATH of the borg
that it starts, and nobody else does. No root, no mount and no change of borg is needed, and the error arises where a
full disk raises it: in `mkdir`, `open` and `write`. Audit hooks see every new name (lock files and folders included),
and `open` gives files whose `write` asks the pool first. A borg that was compiled into one binary ignores PYTHONPATH
and so knows no limits.
"""

import builtins
import errno
import io
import os
import sys
from typing import Any

import storage_pool  # type: ignore[import-not-found]  # beside this file

# borg's self-test writes temporary files at each start; on a full box it went on to fail at its lock all the same
# (https://github.com/borgbackup/borg/issues/8329), so they do not lie in the pool.
TEMPORARY = os.path.realpath(os.environ["TMPDIR"])
HOME = os.environ["CLOUDBACKUP_BOX_HOME"]
SNAPSHOTS = os.environ.get("CLOUDBACKUP_BOX_SNAPSHOTS", "")
READONLY = os.environ["CLOUDBACKUP_BOX_READONLY"] == "1"
POOL = storage_pool.Pool(os.environ["CLOUDBACKUP_BOX_POOL"], os.environ["CLOUDBACKUP_BOX_LIMITS"])
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events (https://docs.python.org/3/library/audit_events.html) that change names or metadata: where the arguments
# hold a path, and where the open folder that a relative one starts from
CHANGES = {
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
}
NEW_NAMES = {"os.mkdir", "os.link", "os.symlink"}


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _judge(path: Any, folder: Any, new: bool) -> None:
    """Raise what the box's file system would raise for a change of `path`, which may be a name about to be made.

    `folder` is the open folder that a relative path starts from, None or -1 for the working directory.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        return  # an open file descriptor: its opening was judged
    start = os.curdir if folder in (None, -1) else os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115
    parent, name = os.path.split(os.path.join(start, os.fsdecode(path)))  # noqa: PTH118
    whole = os.path.join(os.path.realpath(parent), name)  # noqa: PTH118
    if whole == os.devnull or _below(whole, TEMPORARY):
        return
    if whole == os.path.join(HOME, ".zfs") or (SNAPSHOTS and _below(whole, SNAPSHOTS)):  # noqa: PTH118
        raise OSError(errno.EROFS, "Read-only file system", path)
    if not _below(whole, HOME):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    if READONLY:
        raise OSError(errno.EROFS, "Read-only file system", path)
    if new:
        POOL.claim(0, path)


def _audit(event: str, arguments: Any) -> None:
    if event == "open":
        path, _, flags = arguments
        if flags & WRITES:
            new = flags & os.O_CREAT and isinstance(path, (str, bytes)) and not os.path.lexists(path)
            _judge(path, None, bool(new))
    for place, folder in CHANGES.get(event, ()):
        _judge(arguments[place], None if folder is None else arguments[folder], event in NEW_NAMES)


class LimitedFile(io.FileIO):
    """A file whose writes ask the pool first."""

    def write(self, data: Any) -> int:
        """Write as FileIO does. Raises DiscQuotaExceededError."""
        if not (isinstance(self.name, str) and _below(os.path.realpath(self.name), TEMPORARY)):
            POOL.claim(memoryview(data).nbytes, self.name)
        return super().write(data)


_open = builtins.open


def _limited_open(  # noqa: PLR0913, PLR0917 (as the function that it replaces)
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: Any = None,
    errors: Any = None,
    newline: Any = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    if not set(mode) & set("wax+"):
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    raw = LimitedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    binary = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    if "b" in mode:
        return binary
    text = io.TextIOWrapper(binary, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode  # type: ignore[misc]
    return text


builtins.open = _limited_open
io.open = _limited_open
sys.addaudithook(_audit)
