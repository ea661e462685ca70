"""The pool that all accounts of a box share: how much is used, and whether a write still fits.

Imported by the emulator as `lab.quota.storage_pool` and by `sitecustomize` beside it under its bare name, in
whatever Python runs `borg serve`: standard library only, Python 3.9 and later.
"""

import errno
import json
import os
import time
from typing import Optional

RESCAN_SECONDS = 0.5


class DiscQuotaExceededError(OSError):
    """A write that does not fit. Its text is the one that a FreeBSD box sends; `errno` is this machine's EDQUOT."""

    def __init__(self, path: object = "") -> None:
        super().__init__(errno.EDQUOT, "Disc quota exceeded")
        self.path = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""

    def __str__(self) -> str:
        return "[Errno 69] Disc quota exceeded" + (f": {self.path!r}" if self.path else "")


def used(pool: str) -> int:
    """Bytes that the files under `pool` hold. A file that vanishes meanwhile counts as nothing."""
    total = 0
    for folder, _, names in os.walk(pool):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 (cheap in a hot loop)
            except OSError:
                continue
    return total


class Pool:
    """The limit of a pool, as `limits` (JSON: `quota` in bytes, `full`) says at every moment."""

    def __init__(self, pool: str, limits: str) -> None:
        self.pool = pool
        self._limits = limits
        self._stamp: Optional[int] = None  # noqa: UP045 (Python 3.9)
        self._quota = 0
        self._full = False
        self._left = 0
        self._scanned = 0.0
        self._refused = 0.0

    def claim(self, size: int, path: object = "") -> None:
        """Take `size` bytes of what is left; 0 asks for a new name only. Raises DiscQuotaExceededError.

        Once refused, everything is for a moment: of many writes under way the smallest must not slip in, or it would
        leave a file with a hole, and OpenSSH's sftp tells only how its last write went.
        """
        self._read_limits()
        now = time.monotonic()
        if self._full or now - self._refused < RESCAN_SECONDS:
            raise DiscQuotaExceededError(path)
        if self._left < size or now - self._scanned > RESCAN_SECONDS:
            self._left, self._scanned = self._quota - used(self.pool), now
        if self._left < max(size, 1):
            self._refused = now
            raise DiscQuotaExceededError(path)
        self._left -= size

    def _read_limits(self) -> None:
        stamp = os.stat(self._limits).st_mtime_ns  # noqa: PTH116
        if stamp != self._stamp:
            with open(self._limits, encoding="utf-8") as file:  # noqa: PTH123
                values = json.load(file)
            self._quota, self._full = int(values["quota"]), bool(values["full"])
            self._stamp, self._scanned, self._refused = stamp, 0.0, 0.0
