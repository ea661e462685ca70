"""Tells whether an archive of `pg_dump --format=custom` is whole, while it passes. Runs on a host, sent with a program.

The format (PostgreSQL 12 to 17, `pg_backup_archiver.c` and `pg_backup_custom.c`): a head, a table of contents, and a
block of data for each entry that has some. It has no last line: what is cut off between two blocks ends as a whole one
does, and only the table of contents tells. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import struct

MAGIC = b"PGDMP"
KNOWN = ((1, 13), (1, 16))  # versions of the format of pg_dump 12 to 17
CUSTOM = 1
NO_DATA = 3  # the flag of an entry that has no block
DATA, LARGE_OBJECTS = 1, 3  # kinds of blocks
INT = 5  # bytes of a number: its sign, and four, the lowest first
MOST = 256 << 20  # bytes of a table of contents


class ShortError(Exception):
    """What was read so far ends within the table of contents."""


class Archive:
    """Takes the archive piece by piece, the first of five bytes at least; `fault` tells at the end what it lacks."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._blocks: int | None = None  # that are still to come; None before the table of contents was read
        self._in = 0  # the kind of the block at whose inside it is; 0 between blocks
        self._object = False  # within a large object
        self._skip = 0  # bytes of data to pass over
        self._unknown = False
        self._start = b""

    def take(self, piece: bytes) -> None:
        """Look at the next piece."""
        self._start = self._start or bytes(piece[: len(MAGIC)])
        if self._unknown:
            return
        if self._blocks is None:
            self._buffer += piece
            try:
                blocks, end = contents(self._buffer)
            except ShortError:
                self._unknown = len(self._buffer) > MOST
                return
            except ValueError:
                self._unknown, self._buffer = True, bytearray()
                return
            self._blocks, piece = blocks, bytes(self._buffer[end:])
            self._buffer = bytearray()
        self._walk(piece)

    def fault(self) -> str:
        """Return what is wrong at the end of it; empty if nothing, or if its version of the format is not known."""
        if not MAGIC.startswith(self._start):
            return "it is no archive of pg_dump: something else writes to its standard output"
        if self._unknown:
            return ""
        if self._blocks is None:
            return "the dump is cut short: it ends within its table of contents"
        if self._in or self._skip or self._buffer:
            return "the dump is cut short: it ends within the data of a table"
        if self._blocks > 0:
            return f"the dump is cut short: it lacks the data of {self._blocks} entries of its table of contents"
        return ""

    def _walk(self, piece: bytes) -> None:
        """Pass over data. `_buffer` keeps a number that is not complete."""
        if self._skip >= len(piece):
            self._skip -= len(piece)
            return
        data, at = bytes(self._buffer) + piece[self._skip :], 0
        self._skip, self._buffer = 0, bytearray()
        end = len(data)
        number = struct.Struct("<xI").unpack_from
        while True:
            head = INT + (not self._in)
            if end - at < head:
                self._buffer += data[at:]
                return
            if not self._in:
                self._begun(data[at])
                at += head
                continue
            (length,) = number(data, at)
            at += INT
            if self._in == LARGE_OBJECTS and not self._object:  # the number is an object's, or the end
                self._object = length != 0
                self._ended(length)
                continue
            self._object = self._object and length != 0
            if self._in == DATA:
                self._ended(length)
            at += length
            if at > end:
                self._skip = at - end
                return

    def _begun(self, kind: int) -> None:
        self._in = kind
        if kind not in (DATA, LARGE_OBJECTS):
            self._unknown = True  # another format; whoever restores it will see
            self._in = DATA

    def _ended(self, length: int) -> None:
        if length == 0:
            self._in = 0
            self._blocks = (self._blocks or 0) - 1


def contents(data: bytes | bytearray) -> tuple[int, int]:
    """Return how many blocks of data follow the table of contents, and where that ends.

    Raises ShortError if it is not complete, ValueError for another format, or another version of it.
    """
    reader = _Reader(data)
    if bytes(reader.take(len(MAGIC))) != MAGIC:
        raise ValueError("not an archive of pg_dump")
    version = (reader.byte(), reader.byte())
    reader.byte()
    if not KNOWN[0] <= version <= KNOWN[1] or (reader.byte(), reader.byte(), reader.byte()) != (4, 8, CUSTOM):
        raise ValueError("not a known version")
    _ = reader.byte() if version >= (1, 15) else reader.number()  # how it is compressed
    for _ in range(7):  # the time
        reader.number()
    for _ in range(3):  # the database, and two versions
        reader.text()
    count, blocks = reader.number(), 0
    for _ in range(count):
        blocks += _entry(reader, version)
    return blocks, reader.at


def _entry(reader: _Reader, version: tuple[int, int]) -> bool:
    """Pass over an entry; return whether a block belongs to it."""
    reader.number()  # its id
    reader.number()  # whether there was a dumper
    for _ in range(4):  # two ids, tag, description
        reader.text()
    reader.number()  # section
    # definition, drop and copy statement, schema, tablespace, and since 1.14 the access method
    for _ in range(6 if version >= (1, 14) else 5):
        reader.text()
    if version >= (1, 16):
        reader.number()  # the kind of relation
    reader.text()  # owner
    reader.text()  # with ids of rows
    while reader.text() is not None:  # what it depends on
        pass
    flag = reader.byte()
    reader.take(8)
    return flag != NO_DATA


class _Reader:
    """Numbers and texts, one after another."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes | bytearray:
        """Return the next bytes."""
        if self.at + count > len(self._data):
            raise ShortError
        self.at += count
        return self._data[self.at - count : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """Return the next number."""
        field = self.take(INT)
        value = int.from_bytes(field[1:], "little")
        return -value if field[0] else value

    def text(self) -> bytes | None:
        """Return the next text; None for none."""
        length = self.number()
        return None if length < 0 else bytes(self.take(length))
