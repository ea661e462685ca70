"""Makes a folder look like a full disk to the real borg that runs here, while the flag file is there.

Python imports a module of this name by itself at start-up; `support.borg_on_a_disk` puts its folder on borg's
PYTHONPATH. The error is the one that Linux gives, where Linux gives it: in `mkdir`, in `open` of a new file and in
`write`. No root and no mount is needed.
"""

import builtins
import errno
import io
import os
from pathlib import Path
from typing import Any

FLAG = Path(os.environ["CONTRACT_FULL_FLAG"])


def _refuse(path: Any) -> None:
    """Raise when `path` lies below the folder that the flag file names."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    try:
        folder = FLAG.read_text()
    except FileNotFoundError:
        return
    if Path(os.path.realpath(os.fsdecode(path))).is_relative_to(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))


class File(io.FileIO):
    """A file whose writes ask first."""

    def write(self, data: Any) -> int:
        """Write as FileIO does."""
        _refuse(self.name)
        return super().write(data)


_open = builtins.open


def _asking_open(file: Any, mode: str = "r", buffering: int = -1, *others: Any, **named: Any) -> Any:
    if "b" not in mode or not set(mode) & set("wax+") or others or named:
        return _open(file, mode, buffering, *others, **named)
    if set(mode) & set("wx"):
        _refuse(file)
    raw = File(file, mode.replace("b", ""))
    if buffering == 0:
        return raw
    return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


_mkdir = os.mkdir


def _asking_mkdir(path: Any, *others: Any, **named: Any) -> None:
    _refuse(path)
    _mkdir(path, *others, **named)


builtins.open = _asking_open
os.mkdir = _asking_mkdir
