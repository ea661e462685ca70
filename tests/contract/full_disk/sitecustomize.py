"""Makes a folder look like a nearly full disk to the real borg that runs here, while the flag file is there.

Python imports a module of this name by itself at start-up; `support.borg_on_a_disk` puts its folder on borg's
PYTHONPATH. The error is the one that Linux gives, in `write`. Small writes fit at first, so a lock can be made; the first
large one fills the disk, as the part of it that fits does on a real one. The flag file names the folder; with a second
line `once`, somebody makes room right after that. No root and no mount is needed.
"""

import builtins
import errno
import io
import os
from pathlib import Path
from typing import Any

FLAG = Path(os.environ["CONTRACT_FULL_FLAG"])
FITS = 20_000  # bytes


class File(io.FileIO):
    """A file whose writes ask first."""

    def write(self, data: Any) -> int:
        """Write as FileIO does."""
        if FLAG.exists():
            _refuse(Path(os.path.realpath(os.fsdecode(self.name))), memoryview(data).nbytes)
        return super().write(data)


_filled: list[Path] = []  # what filled the disk in this process


def _refuse(path: Path, size: int) -> None:
    folder, *times = FLAG.read_text().splitlines()
    if not path.is_relative_to(folder) or (size <= FITS and not _filled):
        return
    if times == ["once"]:
        FLAG.unlink()
    else:
        _filled.append(path)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_open = builtins.open


def _asking_open(file: Any, mode: str = "r", buffering: int = -1, *others: Any, **named: Any) -> Any:
    writes = set(mode) & set("wax+")
    if not writes or "b" not in mode or others or named or not isinstance(file, (str, bytes, os.PathLike)):
        return _open(file, mode, buffering, *others, **named)
    raw = File(file, mode.replace("b", ""))
    if buffering == 0:
        return raw
    return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


builtins.open = _asking_open
