"""The stream filter between mariadb-backup and borg: each page of the database begins on a border of borg's chunks.

    mariadb-backup --backup --stream=mbstream | python3 -c "$FILTER" CHUNK_SIZE [LISTING] | borg create ...

`mbstream` is a row of chunks, each about a piece of one file (extra/mariabackup/xbstream.h of MariaDB's source; the
types S, R and D by experiment, mbstream 10.11.19 and 11.8.6), numbers little endian:

    8 bytes XBSTCK01, 1 flags, 1 type, 4 length of path, path, and then by type
    P data:  8 length, 8 offset, 4 CRC-32 of the data, data        S seek:   8 offset
    E end:   nothing                  D remove: nothing            R rename: 4 length of the new path, new path

Borg's fixed chunker cuts its input every CHUNK_SIZE bytes. Before each data chunk that is at least as long, the filter
puts a data chunk of zeros of the file PADDING, so that the data begins on such a cut: an unchanged page is then in an
unchanged chunk, wherever in the stream it comes. Stock `mbstream -x` unpacks PADDING as one more file, to be deleted.

A stream that was cut between two chunks looks whole to `mbstream -x`. So the filter fails (exit 1, one line on standard
error) unless each file that began also ended and the files came that mariadb-backup writes last; it fails as well
on a wrong CRC, a gap in a file, and a type that it does not know. When all is well it tells on standard error where in
the binary log, and of which master or Galera state, the backup stands: a line for each such file, its text as hex;
which of the live server's tables are in the stream, when LISTING says, as JSON, how they are listed (`tables`); and
which pages are damaged (`damage`).

Runs alone on a host, of the standard library only, Python 3.8 and later; but for `tables` and `damage`, which come
along.
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
    from collections.abc import Callable

PADDING = b"cloudbackup_padding"  # restoring deletes the file of this name
MAGIC = b"XBSTCK01"
IGNORABLE = 1  # flag: a chunk of an unknown type that is shaped like P
LAST_FILES = (b"checkpoints", b"info")  # after xtrabackup_ (10.11) or mariadb_backup_ (11.x)
POSITIONS = (b"binlog_info", b"slave_info", b"galera_info")  # where the backup stands; told on standard error as well
TOLD = "cloudbackup position"
DAMAGED = b"innodb_corrupted_pages"  # lists the damaged pages that are in the stream, as `damage` has it
LONGEST_PATH = 4096
PIPE = 1 << 20  # the most that an ordinary user may ask for
PIECE = PIPE // 2  # short enough to be in the processor's cache when its CRC is taken and it is written
PAUSE = 1  # milliseconds between two looks for room: in that time borg takes less than the pipe holds
HEADS = 1 << 16  # read ahead for the short parts of the stream

HEAD = struct.Struct("<8sBcI")
DATA = struct.Struct("<QQI")


class StreamError(Exception):
    """The stream is not a whole backup."""


class Aligner:
    """Copies one stream. `size` is borg's chunk size in bytes."""

    def __init__(self, source: io.BufferedReader, target: io.BufferedWriter, size: int) -> None:
        self.source = source
        self.target = target
        self.size = size
        self.zeros = memoryview(bytes(size))
        self.position = 0  # in the output
        self.padding = False  # whether the padding file began
        self.padded = 0  # its length
        self.taken = 0  # position in the input
        self.open: dict[bytes, int] = {}  # each file that has not ended, and the offset at which it goes on
        self.ended: set[bytes] = set()  # which of LAST_FILES came
        self.positions: dict[bytes, bytes] = {}  # which of POSITIONS came, and their texts
        self.damaged = bytearray()  # the content of DAMAGED
        self.streamed: set[bytes] = set()  # the paths that came
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
        """Copy one chunk, whose fixed head was read."""
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
        """Copy a chunk's data, padding before it."""
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
        """Copy `length` bytes of data by pieces, and check them."""
        where, name = printable(path), own(path)
        found = 0
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
            if not length:
                break
        if found != crc:
            raise StreamError(f"wrong checksum of the data of {where}")
        if name in POSITIONS:
            self.positions[name] = bytes(piece)  # a file of a line

    def pad(self, following: int) -> None:
        """Write padding so that the byte after `following` bytes more is the first of one of borg's chunks."""
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
        """Note that a file has ended."""
        self.streamed.add(path)
        self.open.pop(path, None)
        if own(path) in LAST_FILES:
            self.ended.add(own(path))

    def complete(self) -> None:
        """Raise StreamError unless the stream is a whole backup."""
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
    """Return which of its own files mariadb-backup has written here, without the prefix; empty for a database's."""
    for prefix in (b"xtrabackup_", b"mariadb_backup_"):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return b""


def printable(path: bytes) -> str:
    """Return a path for a message, in one line."""
    return ascii(path.decode("utf-8", "replace"))


def widen(number: int) -> None:
    """Make the pipe hold much, where the system allows it: fewer switches between processes."""
    with suppress(OSError):
        fcntl.fcntl(number, 1031, PIPE)  # F_SETPIPE_SZ of Linux, which Python 3.8 has no name for


class Paced(io.FileIO):
    """Standard output, written to when there is room for all of it.

    Else borg, which takes a chunk at a time, wakes this process for each page of memory that it has emptied, which was
    a tenth of the CPU time here.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.ended = select.poll()
        self.ended.register(number, 0)  # which leaves that nobody reads any more

    def write(self, data: Any, /) -> int:
        """Wait for room and write."""
        length = memoryview(data).nbytes
        while (waiting := self.waiting()) and waiting + length > PIPE and not self.ended.poll(PAUSE):
            pass
        return super().write(data)

    def waiting(self) -> int:
        """Return how many bytes are in the pipe; 0 when this is no pipe."""
        count = bytearray(4)
        with suppress(OSError):
            fcntl.ioctl(self.fileno(), termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)


def compared(listing: list[str]) -> Callable[[set[bytes]], str]:
    """Return what compares the paths in a stream with the live server's tables, and tells that in a line."""
    if not listing:
        return lambda _: ""  # of a stream that is no server's, for a benchmark: this file is enough
    from tasks.mariadb.host.tables import Live

    return Live(json.loads(listing[0])).told


def damaged(aligner: Aligner) -> str:
    """Return what is told of damaged pages in a whole stream. Raises StreamError where they are too many."""
    if DAMAGED not in aligner.streamed:
        return ""
    from tasks.mariadb.damage import DamageError, told

    try:
        return told(aligner.damaged.decode("utf-8", "replace"))
    except (DamageError, ValueError) as error:
        raise StreamError(f"damaged: {error}") from None


def main() -> NoReturn:
    """Run as a filter, and end the process at once: an ordinary end would try to write what a closed pipe refused."""
    size = int(sys.argv[1])
    for number in (0, 1):
        widen(number)
    source: io.BufferedReader = io.BufferedReader(io.FileIO(0, "r", closefd=False), HEADS)
    target: io.BufferedWriter = io.BufferedWriter(Paced(1), HEADS)
    live = compared(sys.argv[2:])
    aligner = Aligner(source, target, size)
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
        sys.stderr.write(harm + live(aligner.streamed))
        sys.stderr.flush()
        os._exit(0)
    sys.stderr.write(f"align: {fault}\n")
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
