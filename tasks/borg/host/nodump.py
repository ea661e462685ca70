"""The flag `nodump` of files on Linux, as `chattr +d` sets it. Part of `paths.py`: standard library only, Python 3.8
or later.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct

GETFLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h
NODUMP = 0x40  # FS_NODUMP_FL


def flagged(path: str) -> bool:
    """Return whether a file or folder has the flag; False for one that cannot be asked, which borg will report."""
    try:
        if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            return False
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    flags = bytearray(8)
    try:
        fcntl.ioctl(file, GETFLAGS, flags)
    except OSError:
        return False
    finally:
        os.close(file)
    return bool(int.from_bytes(flags[:4], "little") & NODUMP)
