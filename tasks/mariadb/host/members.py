"""Writes a stream as a row of members of a tar, each with one piece of it, for `borg import-tar`. Part of `align`.

    mariadb.mbstream/shop/orders.ibd/00000010485760   a piece of shop/orders.ibd, with its offset there
    mariadb.mbstream/shop/small-files/customers.frm   pieces of small files of the database shop, from that one on
    mariadb.mbstream/ddl-log/shop/new.ibd/...         a note of mariadb-backup's that the file was renamed or removed

The contents of all members, one after the other, are the stream: `borg extract --stdout ARCHIVE | mbstream -x`.

To `borg import-tar`, a tar that ends between two members, or inside the header of any but the first, is a whole one
(tried, 1.2.4 and 1.4.5), and it would make an archive that lacks the rest. So the pipe never holds such a tar: a
member's last bytes wait for the next member's header, and both go out in one write of at most PIPE_BUF bytes, which the
kernel does not split. The end of the archive goes out the same way, and only when the whole stream is known to be good.

Layout: POSIX ustar, https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, and GNU's record `L` for names
longer than 100 bytes. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

FOLDER = b"mariadb.mbstream"  # also the name of the only file in archives of earlier versions
SMALL = b"small-files"  # no database has such a folder: MariaDB writes a minus in a name as @002d
NOTES = b"ddl-log"
BLOCK = 512
PIPE_BUF = 4096
LONGEST_NAME = 1000  # two blocks of a record `L`, so that a border fits into PIPE_BUF
LARGEST = 8 << 30  # bytes of a member: what a header of ustar can say
ODD = re.compile(rb"[^A-Za-z0-9_@#$.+=,~-]")


class Target(Protocol):
    """Where the tar goes, unbuffered: what is written at once is one write(2)."""

    def write(self, data: Any, /) -> int | None:
        """Write, perhaps a part; return how much."""


class Tar:
    """A tar that is written member by member; the first `begun` bytes of it were written before. Raises OSError."""

    def __init__(self, target: Target, begun: int = 0) -> None:
        self.target = target
        self.begun = begun
        self.held = b""  # the end of the last member
        self.left = 0  # bytes of the current member that are still to come
        self.fill = 0  # zeros that then make it whole blocks

    def begin(self, name: bytes, size: int) -> None:
        """Begin a member of `size` bytes, at least one."""
        assert not self.left
        assert 0 < size < LARGEST
        self.border(header(name, size))
        self.left = size
        self.fill = -size % BLOCK

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """Write content of the current member; its last bytes wait."""
        self.left -= len(data)
        assert self.left >= 0
        if self.left:
            self.send(data)
            return
        rest = max(0, len(data) - BLOCK)
        if rest:
            self.send(memoryview(data)[:rest])
        self.held = bytes(data[rest:]) + bytes(self.fill)

    def end(self) -> None:
        """Write the end of the archive: borg saves it then."""
        assert not self.left
        self.border(bytes(2 * BLOCK))

    def border(self, following: bytes) -> None:
        """Write the last member's end together with what follows it."""
        data = self.held + following
        assert len(data) <= PIPE_BUF
        self.held = b""
        self.send(data[self.begun :])
        self.begun = 0

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[self.target.write(view) or 0 :]


def header(name: bytes, size: int) -> bytes:
    """Return what comes before a member's content. Always the same for the same member, so that items deduplicate."""
    if len(name) <= 100:
        return block(name, size, b"0")
    long = name + b"\0"
    filled = long + bytes(-len(long) % BLOCK)
    return block(b"././@LongLink", len(long), b"L") + filled + block(name[:100], size, b"0")


def block(name: bytes, size: int, kind: bytes) -> bytes:
    """Return the block of a header."""
    before = name.ljust(100, b"\0") + b"0000640\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0"
    after = (kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2).ljust(356, b"\0")
    return before + b"%06o\0 " % (sum(before) + 8 * 0x20 + sum(after)) + after


def piece_name(path: bytes, offset: int) -> bytes:
    """Return the name of the member with a piece of a file."""
    return b"%s/%s/%014d" % (FOLDER, safe(path), offset)


def small_name(path: bytes) -> bytes:
    """Return the name of the member with pieces of small files of which `path` is the first."""
    folder, _, name = safe(path).rpartition(b"/")
    return b"/".join(filter(None, (FOLDER, folder, SMALL, name)))


def note_name(path: bytes) -> bytes:
    """Return the name of the member with a note that a file was renamed or removed."""
    return b"%s/%s/%s" % (FOLDER, NOTES, safe(path))


def safe(path: bytes) -> bytes:
    """Return a path that stays below a folder and is printable; one that mariadb-backup may send stays as it is."""
    parts = [ODD.sub(lambda found: b"%%%02X" % found[0][0], part) for part in path.split(b"/")]
    parts = [part.replace(b".", b"%2E") if not part.strip(b".") else part for part in parts if part not in (b"", b".")]
    named = b"/".join(parts) or b"%00"
    room = LONGEST_NAME - len(FOLDER) - len(SMALL) - 20
    return named if len(named) <= room else b"%s~%08x" % (named[: room - 9].rpartition(b"/")[2], zlib.crc32(path))
