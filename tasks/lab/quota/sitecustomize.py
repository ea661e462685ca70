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

HOME = os.environ["CLOUDBACKUP_BOX_HOME"]
READONLY = os.environ["CLOUDBACKUP_BOX_READONLY"] == "1"
POOL = storage_pool.Pool(os.environ["CLOUDBACKUP_BOX_POOL"], os.environ["CLOUDBACKUP_BOX_LIMITS"])
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events (https://docs.python.org/3/library/audit_events.html) that change names or metadata: their paths' places
CHANGES = {
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
}
NEW_NAMES = {"os.mkdir", "os.link", "os.symlink"}


def _inside(path: Any) -> bool:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return True  # an open file descriptor: its opening was judged
    whole = os.path.realpath(os.fsdecode(path))
    return whole == HOME or whole.startswith(HOME + os.sep) or whole == os.devnull


def _refuse_change(path: Any) -> None:
    if not _inside(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    if READONLY and os.fsdecode(path) != os.devnull:
        raise OSError(errno.EROFS, "Read-only file system", path)


def _audit(event: str, arguments: Any) -> None:
    if event == "open":
        path, _, flags = arguments
        if flags & WRITES and isinstance(path, (str, bytes, os.PathLike)):
            _refuse_change(path)
            if flags & os.O_CREAT and not os.path.lexists(path):
                POOL.claim(0, path)
    elif event in CHANGES:
        for place in CHANGES[event]:
            if isinstance(arguments[place], (str, bytes, os.PathLike)):
                _refuse_change(arguments[place])
        if event in NEW_NAMES:
            POOL.claim(0, arguments[CHANGES[event][-1]])


class LimitedFile(io.FileIO):
    """A file whose writes ask the pool first."""

    def write(self, data: Any) -> int:
        """Write as FileIO does. Raises DiscQuotaExceededError."""
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
