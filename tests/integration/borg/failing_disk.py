"""A file system that fails as disks and NFS servers do; run with the system's Python: failing_disk.py FOLDER.

Each file or folder is named after what fails with which error, such as `read-EIO` or `list-ESTALE`.
"""

import errno
import os
import stat
import sys
from typing import Any

import pyfuse3
import trio

ENTRIES = [
    "good",
    *("open-EACCES", "open-ESTALE", "open-ENOENT", "read-EIO", "read-ESTALE", "look-ESTALE", "look-EIO"),
    *("list-EIO", "list-ESTALE", "list-EACCES"),
]
CONTENT = b"content" * 30_000
ROOT = pyfuse3.ROOT_INODE


def fails(inode: int, step: str) -> None:
    """Raise the error of an entry's name if it is meant for this step."""
    if inode != ROOT and ENTRIES[inode - ROOT - 1].startswith(step):
        raise pyfuse3.FUSEError(getattr(errno, ENTRIES[inode - ROOT - 1].partition("-")[2]))


class FailingDisk(pyfuse3.Operations):  # type: ignore[misc]
    """The entries, flat."""

    async def getattr(self, inode: int, _ctx: Any = None) -> Any:
        """Return size, kind and times."""
        entry = pyfuse3.EntryAttributes()
        folder = inode == ROOT or ENTRIES[inode - ROOT - 1].startswith("list")
        entry.st_mode = (stat.S_IFDIR | 0o755) if folder else (stat.S_IFREG | 0o644)
        entry.st_size = 0 if folder else len(CONTENT)
        entry.st_ino, entry.st_uid, entry.st_gid = inode, os.getuid(), os.getgid()
        entry.entry_timeout = entry.attr_timeout = 0  # asked each time
        entry.st_atime_ns = entry.st_ctime_ns = entry.st_mtime_ns = 10**18
        return entry

    async def lookup(self, _parent: int, name: bytes, _ctx: Any = None) -> Any:
        """Return an entry by name."""
        if os.fsdecode(name) not in ENTRIES:
            raise pyfuse3.FUSEError(errno.ENOENT)
        inode = ENTRIES.index(os.fsdecode(name)) + ROOT + 1
        fails(inode, "look")
        return await self.getattr(inode)

    async def opendir(self, inode: int, _ctx: Any) -> int:
        """Open a folder."""
        fails(inode, "list")
        return inode

    async def readdir(self, inode: int, start: int, token: Any) -> None:
        """List a folder."""
        for number, name in enumerate(ENTRIES if inode == ROOT else ()):
            if number >= start:
                attributes = await self.getattr(number + ROOT + 1)
                if not pyfuse3.readdir_reply(token, os.fsencode(name), attributes, number + 1):
                    return

    async def open(self, inode: int, _flags: int, _ctx: Any) -> Any:
        """Open a file."""
        fails(inode, "open")
        return pyfuse3.FileInfo(fh=inode, direct_io=True)

    async def read(self, inode: int, offset: int, size: int) -> bytes:
        """Read a part of a file: the first 64 KiB can always be read."""
        if offset >= 1 << 16:
            fails(inode, "read")
        return CONTENT[offset : offset + size]


def main() -> None:
    """Serve the file system until it is unmounted."""
    options = {*pyfuse3.default_options, "fsname=failing", "allow_other"}
    pyfuse3.init(FailingDisk(), sys.argv[1], options)
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=True)


main()
