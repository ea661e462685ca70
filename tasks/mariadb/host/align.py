"""The stream filter between mariadb-backup and borg: aligns each database page with the boundaries of borg's chunks.

    { mariadb-backup --backup --stream=mbstream && printf "$COMPLETED"; } |
        python3 -c "$FILTER" CHUNK_SIZE [PARENT [LISTING]] | borg import-tar --chunker-params=fixed,CHUNK_SIZE ARCHIVE -

`mbstream` is a sequence of chunks, each with a piece of one file (extra/mariabackup/xbstream.h of MariaDB's source; the
types S, R and D by experiment, mbstream 10.11.19 and 11.8.6), numbers little endian:

    8 bytes XBSTCK01, 1 flags, 1 type, 4 length of path, path, and then by type
    P data:  8 length, 8 offset, 4 CRC-32 of the data, data        S seek:   8 offset
    E end:   nothing                  D remove: nothing            R rename: 4 length of the new path, new path

The stream is written as a tar (`members`). Each chunk of at least LARGE bytes becomes a member; smaller ones that
follow each other share one, if they are of the same large file or of small files of the same database. Borg cuts each
member every CHUNK_SIZE bytes. Before each data chunk of at least that length, the filter inserts a data chunk of zeros
of the file PADDING, so that the data begins at such a boundary: an unchanged page is then in an unchanged chunk,
wherever it comes in the stream. It is written over and over at the file's offset 0 (a seek comes before), so that a
member does not depend on those before it, and any choice of them is a stream as well. Stock `mbstream -x` unpacks
PADDING as one more file, to be deleted.

To `mbstream -x`, a stream that was cut between two chunks looks complete. So the filter fails (exit 1, one line on
standard error) unless each file that began also ended, the files that mariadb-backup writes last have come, and
COMPLETED after them, which nobody writes unless mariadb-backup ended well. It also fails on a wrong CRC, a gap in a
file, an unknown type, and if the shell that ran it (its process number is PARENT) is gone; with 141 if borg ended
first. On success it reports on standard error: the backup's position in the binary log, in that of a master or in
Galera, one line for each such file, its text as hex; with LISTING (JSON: how to list them, see `tables`), which of the
live server's tables are in the stream, and of which only the definition is (`engines`); and which pages are damaged
(`damage`). The end of the tar, without which borg makes no archive, comes last of all.

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

from tasks.mariadb.host.members import LARGEST, Tar, note_name, piece_name, small_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.mariadb.host.members import Target
    from tasks.mariadb.host.tables import Live

COMPLETED = b"cloudbackup: mariadb-backup completed OK!\n"  # after the stream
PADDING = b"cloudbackup_padding"  # a restore deletes this file
MAGIC = b"XBSTCK01"
IGNORABLE = 1  # flag: a chunk of an unknown type with the layout of P
LAST_FILES = (b"checkpoints", b"info")  # after the prefix xtrabackup_ (10.11) or mariadb_backup_ (11.x)
POSITIONS = (b"binlog_info", b"slave_info", b"galera_info")  # the backup's positions, also reported on standard error
TOLD = "cloudbackup position"
DAMAGED = b"innodb_corrupted_pages"  # lists the damaged pages in the stream; parsed by `damage`
DEFINITION = b".frm"  # ends the path of a table's definition
DDL = (b".new", b".ren", b".del", b".crt")  # ends of files about tables that were changed during the backup
LONGEST_PATH = 4096
LARGE = 1 << 20  # bytes of a chunk that becomes a member, and of chunks that share one
PIPE = 1 << 20  # the most that an ordinary user may set
PIECE = PIPE // 2  # fits into the CPU cache while its CRC is computed and it is written
PAUSE = 1  # milliseconds between checks for room: in that time borg reads less than the pipe holds
BROKEN = 141  # exit code if whoever reads ended early, as of one that SIGPIPE ends
FIRST = b"m"  # of the name of every member; borg refuses a tar that is cut in its first header
READY = 20  # milliseconds between looks whether borg has read it
HEADS = 1 << 16  # read-ahead for the short parts of the stream

HEAD = struct.Struct("<8sBcI")
DATA = struct.Struct("<QQI")


class StreamError(Exception):
    """The stream is not a complete backup."""


class Aligner:
    """Copies one stream. `size` is borg's chunk size in bytes; `live`, if set, is shown the definitions of tables."""

    live: Live | None = None

    def __init__(self, source: io.BufferedReader, target: Target, size: int, begun: int = 0) -> None:
        self.source = source
        self.tar = Tar(target, begun)
        self.size = size
        self.zeros = memoryview(bytes(size))
        self.run_of = b""  # what the chunks in `run` have in common: a path or a folder
        self.run_name = b""  # of their member
        self.run = bytearray()
        self.padding = False  # whether the padding file has begun
        self.taken = 0  # position in the input
        self.large: set[bytes] = set()  # files of which a chunk was LARGE
        self.open: dict[bytes, int] = {}  # unfinished files, with the offset at which each continues
        self.ended: set[bytes] = set()  # the LAST_FILES seen so far
        self.positions: dict[bytes, bytes] = {}  # the POSITIONS seen so far, with their texts
        self.damaged = bytearray()  # the content of DAMAGED
        self.streamed: set[bytes] = set()  # the paths seen so far
        self.memory = memoryview(bytearray(PIECE))

    def copy(self) -> None:
        """Copy until the input ends, but for the end of the tar. Raises StreamError, OSError."""
        while True:
            head = self.source.read(HEAD.size)
            if not head or COMPLETED.startswith(head):
                break
            self.chunk(head)
        self.complete()
        if head + self.source.read(len(COMPLETED)) != COMPLETED:
            raise StreamError("the stream ends without a word that mariadb-backup completed it")
        if self.padding:
            self.begin(b"", PADDING)
            self.run += HEAD.pack(MAGIC, 0, b"E", len(PADDING)) + PADDING
        self.flush()

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
            self.short(path, head + offset)
        elif kind == b"R":
            count = self.take(4)
            self.note(path, head + count + self.path(int.from_bytes(count, "little")))
        elif kind == b"E":
            self.end(path, head)
        elif kind == b"D":
            self.note(path, head)
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
        if length >= LARGEST // 2:
            raise StreamError(f"{length} bytes of {printable(path)} at once")
        head += numbers
        if length < LARGE:
            self.short(path, head, length)
            self.pieces(length, crc, path, self.run.extend)
            return
        self.flush()
        self.large.add(path)
        before = self.pad(len(head)) + head if length >= self.size else head
        self.tar.begin(piece_name(path, offset), len(before) + length)
        self.tar.put(before)
        self.pieces(length, crc, path, self.tar.put)

    def pieces(self, length: int, crc: int, path: bytes, put: Callable[[memoryview], None]) -> None:
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
            put(piece)
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

    def short(self, path: bytes, head: bytes, following: int = 0) -> None:
        """Take a chunk, but for its `following` bytes of data, into the current run, or begin one."""
        self.begin(path if path in self.large or path.endswith(DDL) else path.rpartition(b"/")[0], path)
        if following >= self.size:
            self.run += self.pad(len(head))
        self.run += head

    def begin(self, run_of: bytes, path: bytes) -> None:
        """Begin a run of chunks, or go on with the same one."""
        if run_of == self.run_of and 0 < len(self.run) < LARGE:
            return
        self.flush()
        self.run_of = run_of
        self.run_name = piece_name(path, self.open.get(path, 0)) if run_of == path else small_name(path)

    def note(self, path: bytes, chunk: bytes) -> None:
        """Copy the note that a file was renamed or removed."""
        self.flush()
        self.tar.begin(note_name(path), len(chunk))
        self.tar.put(chunk)

    def flush(self) -> None:
        """Write the current run, if any."""
        if self.run:
            self.tar.begin(self.run_name, len(self.run))
            self.tar.put(self.run)
            self.run = bytearray()

    def pad(self, following: int) -> bytes:
        """Return padding so that, after `following` more bytes, the next byte begins one of borg's chunks."""
        position = len(self.run) + following
        if position % self.size == 0:
            return b""
        seek = HEAD.pack(MAGIC, 0, b"S", len(PADDING)) + PADDING + bytes(8)
        head = HEAD.pack(MAGIC, 0, b"P", len(PADDING)) + PADDING
        count = -(position + len(seek) + len(head) + DATA.size) % self.size
        zeros = self.zeros[:count]
        self.padding = True
        return seek + head + DATA.pack(count, 0, zlib.crc32(zeros)) + zeros

    def end(self, path: bytes, chunk: bytes) -> None:
        """Copy the end of a file."""
        self.short(path, chunk)
        if path in self.large:
            self.flush()
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


def report(aligner: Aligner, more: str) -> None:
    """Report what is in a complete stream, on standard error. Raises OSError."""
    for name, text in sorted(aligner.positions.items()):
        sys.stderr.write(f"{TOLD} {name.decode()} {text.hex()}\n")
    sys.stderr.write(more)
    sys.stderr.flush()


def require_parent(number: str = "") -> None:
    """Raise StreamError if the shell of this process number is gone: it was to judge the archive."""
    if number and os.getppid() != int(number):
        raise StreamError("the shell that ran the filter was killed")


def ready() -> NoReturn:
    """Write the tar's first byte and wait until borg has read it: it has the lock then, and knows the repository.

    Until then mariadb-backup must not begin: it holds locks while nobody reads. Exits with BROKEN if borg ends first.
    """
    pipe = Paced(1)
    with suppress(BrokenPipeError):
        pipe.write(FIRST)
        while pipe.waiting():
            if pipe.ended.poll(READY):
                os._exit(BROKEN)
        os._exit(0)
    os._exit(BROKEN)


def main() -> NoReturn:
    """Run as a filter, and exit at once: a normal exit would flush again what a closed pipe refused."""
    if sys.argv[1:] == ["ready"]:
        ready()
    size = int(sys.argv[1])
    for number in (0, 1):
        widen(number)
    source: io.BufferedReader = io.BufferedReader(io.FileIO(0, "r", closefd=False), HEADS)
    live = listed(sys.argv[3:])
    aligner = Aligner(source, Paced(1), size, len(FIRST) if sys.argv[2:] else 0)
    aligner.live = live
    code = 1
    try:
        aligner.copy()
        report(aligner, damaged(aligner) + (live.told(aligner.streamed) if live else ""))
        require_parent(*sys.argv[2:3])
        aligner.tar.end()
    except StreamError as error:
        fault = f"{error} (byte {aligner.taken} of the stream)"
    except BrokenPipeError:
        fault, code = "whoever reads the aligned stream ended early", BROKEN
    except OSError as error:
        fault = f"cannot copy the stream: {error.strerror}"
    else:
        os._exit(0)
    sys.stderr.write(f"align: {fault}\n")
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
