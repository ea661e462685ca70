"""The stream filter between mariadb-backup and borg: aligns each database page with the boundaries of borg's chunks.

    mariadb-backup --backup --stream=mbstream | python3 -c "$FILTER" CHUNK_SIZE [LISTING] | borg create ...

`mbstream` is a sequence of chunks, each with a piece of one file (extra/mariabackup/xbstream.h of MariaDB's source; the
types S, R and D by experiment, mbstream 10.11.19 and 11.8.6), numbers little endian:

    8 bytes XBSTCK01, 1 flags, 1 type, 4 length of path, path, and then by type
    P data:  8 length, 8 offset, 4 CRC-32 of the data, data        S seek:   8 offset
    E end:   nothing                  D remove: nothing            R rename: 4 length of the new path, new path

Borg's fixed chunker cuts its input every CHUNK_SIZE bytes. Before each data chunk of at least that length, the filter
inserts a data chunk of zeros of the file PADDING, so that the data begins at such a boundary: an unchanged page is then
in an unchanged chunk, wherever it comes in the stream. Stock `mbstream -x` unpacks PADDING as one more file, to be
deleted.

To `mbstream -x`, a stream that was cut between two chunks looks complete. So the filter fails (exit 1, one line on
standard error) unless each file that began also ended and the files that mariadb-backup writes last have come; it also
fails on a wrong CRC, a gap in a file, and an unknown type. On success it reports on standard error: the backup's
position in the binary log, in that of a master or in Galera, one line for each such file, its text as hex; with LISTING
(JSON: how to list them, see `tables`), which of the live server's tables are in the stream, and of which only the
definition is (`engines`); and which pages are damaged (`damage`).

Runs alone on a host: standard library only, Python 3.8 and later, except those modules, which are sent along.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import select
import struct
import sys
import termios
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tasks.mariadb.host.tables import Live

PADDING = b"cloudbackup_padding"  # a restore deletes this file
MAGIC = b"XBSTCK01"
IGNORABLE = 1  # flag: a chunk of an unknown type with the layout of P
LAST_FILES = (b"checkpoints", b"info")  # after the prefix xtrabackup_ (10.11) or mariadb_backup_ (11.x)
POSITIONS = (b"binlog_info", b"slave_info", b"galera_info")  # the backup's positions, also reported on standard error
TOLD = "cloudbackup position"
DAMAGED = b"innodb_corrupted_pages"  # lists the damaged pages in the stream; parsed by `damage`
DEFINITION = b".frm"  # ends the path of a table's definition
LONGEST_PATH = 4096
PIPE = 1 << 20  # the most that an ordinary user may set
PIECE = PIPE // 2  # fits into the CPU cache while its CRC is computed and it is written
PAUSE = 1  # milliseconds between checks for room: in that time borg reads less than the pipe holds
HEADS = 1 << 16  # read-ahead for the short parts of the stream

HEAD = struct.Struct("<8sBcI")
DATA = struct.Struct("<QQI")


class StreamError(Exception):
    """The stream is not a complete backup."""


class Aligner:
    """Copies one stream. `size` is borg's chunk size in bytes; `live`, if set, is shown the definitions of tables."""

    live: Live | None = None

    def __init__(self, source: io.BufferedReader, target: io.BufferedWriter, size: int) -> None:
        self.source = source
        self.target = target
        self.size = size
        self.zeros = memoryview(bytes(size))
        self.position = 0  # in the output
        self.padding = False  # whether the padding file has begun
        self.padded = 0  # its length
        self.taken = 0  # position in the input
        self.open: dict[bytes, int] = {}  # unfinished files, with the offset at which each continues
        self.ended: set[bytes] = set()  # the LAST_FILES seen so far
        self.positions: dict[bytes, bytes] = {}  # the POSITIONS seen so far, with their texts
        self.damaged = bytearray()  # the content of DAMAGED
        self.streamed: set[bytes] = set()  # the paths seen so far
        self.memory = memoryview(bytearray(PIECE))

    def run(self) -> None:
        """Copy until the input ends. Raises StreamError, OSError."""
        while True:
            head = self.source.read(HEAD.size)
            if not head:
                break
            self.chunk(head)
        self.complete()
        if self.padding:
            self.put(HEAD.pack(MAGIC, 0, b"E", len(PADDING)) + PADDING)
        self.target.flush()

    def chunk(self, head: bytes) -> None:
        """Copy one chunk whose fixed head was read."""
        if len(head) < HEAD.size:
            raise StreamError("the stream is cut in the middle of a chunk")
        magic, flags, kind, length = HEAD.unpack(head)
        if magic != MAGIC:
            raise StreamError("this is no mbstream: wrong magic bytes")
        self.taken += HEAD.size
        path = self.path(length)
        head += path
        if kind == b"P" or (flags & IGNORABLE and kind not in b"ESRD"):
            self.data(head, path, kind)
        elif kind == b"S":
            offset = self.take(8)
            self.open[path] = int.from_bytes(offset, "little")
            self.put(head + offset)
        elif kind == b"R":
            count = self.take(4)
            self.put(head + count + self.path(int.from_bytes(count, "little")))
        elif kind == b"E":
            self.end(path)
            self.put(head)
        elif kind == b"D":
            self.put(head)
        else:
            raise StreamError(f"unknown chunk type {kind!r}: this mariadb-backup is too new for the filter")

    def data(self, head: bytes, path: bytes, kind: bytes) -> None:
        """Copy a chunk's data, with padding before it."""
        numbers = self.take(DATA.size)
        length, offset, crc = DATA.unpack(numbers)
        if kind == b"P":
            if offset != self.open.get(path, 0):
                raise StreamError(f"the data of {printable(path)} does not go on where it ended")
            self.open[path] = offset + length
        head += numbers
        if length >= self.size:
            self.pad(len(head))
        self.put(head)
        self.copy(length, crc, path)

    def copy(self, length: int, crc: int, path: bytes) -> None:
        """Copy `length` bytes of data in pieces, and check their CRC."""
        where, name = printable(path), own(path)
        found, first = 0, True
        while True:
            piece = self.memory[: min(length, PIECE)]
            if self.source.readinto(piece) != len(piece):
                raise StreamError(f"the stream is cut in the data of {where}")
            length -= len(piece)
            self.taken += len(piece)
            found = zlib.crc32(piece, found)
            self.put(piece)
            if path == DAMAGED:
                self.damaged += piece
            elif first and self.live is not None and path.endswith(DEFINITION):
                self.live.defined(path, bytes(piece))
            first = False
            if not length:
                break
        if found != crc:
            raise StreamError(f"wrong checksum of the data of {where}")
        if name in POSITIONS:
            self.positions[name] = bytes(piece)  # a file of one line

    def pad(self, following: int) -> None:
        """Write padding so that, after `following` more bytes, the next byte begins one of borg's chunks."""
        if (self.position + following) % self.size == 0:
            return
        own = HEAD.size + len(PADDING) + DATA.size
        count = -(self.position + own + following) % self.size
        zeros = self.zeros[:count]
        head = HEAD.pack(MAGIC, 0, b"P", len(PADDING)) + PADDING
        self.put(head + DATA.pack(count, self.padded, zlib.crc32(zeros)))
        self.put(zeros)
        self.padding = True
        self.padded += count

    def end(self, path: bytes) -> None:
        """Note the end of a file."""
        self.streamed.add(path)
        self.open.pop(path, None)
        if own(path) in LAST_FILES:
            self.ended.add(own(path))

    def complete(self) -> None:
        """Raise StreamError unless the stream is a complete backup."""
        if self.open:
            raise StreamError(f"the stream ends before the end of {printable(min(self.open))}")
        for name in LAST_FILES:
            if name not in self.ended:
                raise StreamError(f"the stream ends before *_{name.decode()}, which mariadb-backup writes last")

    def path(self, length: int) -> bytes:
        """Read a path."""
        if not 0 < length <= LONGEST_PATH:
            raise StreamError(f"a path of {length} bytes")
        path = self.take(length)
        if path == PADDING:
            raise StreamError(f"it holds a file named {printable(path)} already")
        return path

    def take(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        taken = self.source.read(count)
        if len(taken) < count:
            raise StreamError("the stream is cut in the middle of a chunk")
        self.taken += count
        return taken

    def put(self, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        self.target.write(data)
        self.position += len(data)


def own(path: bytes) -> bytes:
    """Return the name, without prefix, of a file of mariadb-backup's own; empty for a database file."""
    for prefix in (b"xtrabackup_", b"mariadb_backup_"):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return b""


def printable(path: bytes) -> str:
    """Return a path as one line, for a message."""
    return ascii(path.decode("utf-8", "replace"))


def widen(number: int) -> None:
    """Enlarge the pipe's buffer if the system allows it, to save context switches."""
    with suppress(OSError):
        fcntl.fcntl(number, 1031, PIPE)  # Linux's F_SETPIPE_SZ, which Python 3.8 does not define


class Paced(io.FileIO):
    """Standard output, written to only when there is room for the whole piece.

    Otherwise borg, which reads one chunk at a time, wakes this process for each page of memory that it has emptied;
    that was a tenth of the CPU time here.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.ended = select.poll()
        self.ended.register(number, 0)  # only reports that the reader has gone

    def write(self, data: Any, /) -> int:
        """Wait for room and write."""
        length = memoryview(data).nbytes
        while (waiting := self.waiting()) and waiting + length > PIPE and not self.ended.poll(PAUSE):
            pass
        return super().write(data)

    def waiting(self) -> int:
        """Return how many bytes are in the pipe; 0 if it is not a pipe."""
        count = bytearray(4)
        with suppress(OSError):
            fcntl.ioctl(self.fileno(), termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)


def listed(listing: list[str]) -> Live | None:
    """Return the live server's tables; None for a benchmark's stream, not from a server: this file suffices for it."""
    if not listing:
        return None
    from tasks.mariadb.host.tables import Live

    return Live(json.loads(listing[0]))


def damaged(aligner: Aligner) -> str:
    """Return the report on damaged pages of a complete stream. Raises StreamError if there are too many."""
    if DAMAGED not in aligner.streamed:
        return ""
    from tasks.mariadb.damage import DamageError, told

    try:
        return told(aligner.damaged.decode("utf-8", "replace"))
    except (DamageError, ValueError) as error:
        raise StreamError(f"damaged: {error}") from None


def main() -> NoReturn:
    """Run as a filter, and exit at once: a normal exit would flush again what a closed pipe refused."""
    size = int(sys.argv[1])
    for number in (0, 1):
        widen(number)
    source: io.BufferedReader = io.BufferedReader(io.FileIO(0, "r", closefd=False), HEADS)
    target: io.BufferedWriter = io.BufferedWriter(Paced(1), HEADS)
    live = listed(sys.argv[2:])
    aligner = Aligner(source, target, size)
    aligner.live = live
    try:
        aligner.run()
        harm = damaged(aligner)
    except StreamError as error:
        fault = f"{error} (byte {aligner.taken} of the stream)"
    except BrokenPipeError:
        fault = "whoever reads the aligned stream ended early"
    except OSError as error:
        fault = f"cannot copy the stream: {error.strerror}"
    else:
        for name, text in sorted(aligner.positions.items()):
            sys.stderr.write(f"{TOLD} {name.decode()} {text.hex()}\n")
        sys.stderr.write(harm + (live.told(aligner.streamed) if live else ""))
        sys.stderr.flush()
        os._exit(0)
    sys.stderr.write(f"align: {fault}\n")
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
