"""A cache of what archives hold, on the operator's machine: an archive never changes, so an entry stays true.

One compressed file for each archive, named after its id, which only its owner can read. A broken one is ignored, and so
is a failed write. What belongs to no archive any more is removed, and beyond MOST bytes the longest unused.
"""

import hashlib
import os
import secrets
import zlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from tasks.borg.client.list import LONGEST

MOST = 512 << 20  # bytes for one app and storage
LEVEL = 1  # of compression: to a seventh, in a tenth of the time that borg takes


class EntriesCache:
    """The cache of one app's archives in one storage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, archive_id: str) -> bytes | None:
        """Return the entries of an archive; None if they are not kept."""
        path = self._path(archive_id)
        try:
            digest, _, body = path.read_bytes().partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != digest:
                return None
            os.utime(path)
            return zlib.decompressobj().decompress(body, LONGEST)
        except (OSError, zlib.error):
            return None

    def store(self, archive_id: str, entries: bytes) -> None:
        """Keep the entries of an archive."""
        body = zlib.compress(entries, LEVEL)
        path = self._path(archive_id)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.touch(0o600)
            fresh.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            fresh.replace(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def trim(self, archive_ids: Collection[str]) -> None:
        """Remove what is of none of these archives, and beyond MOST bytes what was not used for longest."""
        names, total = {self._path(each).name for each in archive_ids}, 0
        with suppress(OSError):
            files = [(each, each.stat()) for each in self.folder.iterdir()]
            for path, status in sorted(files, key=lambda each: each[1].st_mtime, reverse=True):
                total += status.st_size
                if path.name not in names or total > MOST:
                    path.unlink(missing_ok=True)

    def _path(self, archive_id: str) -> Path:
        return self.folder / hashlib.sha256(archive_id.encode()).hexdigest()
