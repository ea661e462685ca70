"""A builder of binary logs."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from tasks.mariadb.host import binlog_format
from tasks.mariadb.host.binlog_format import Facts, Group, Reader

if TYPE_CHECKING:
    from tasks.mariadb.host.binlog_format import State

SERVER = 7
CREATED = 1_795_000_000


class Made:
    """A binary log that is put together event by event."""

    def __init__(self, listed: State, *, checksums: bool = True, in_use: bool = False, created: int = CREATED) -> None:
        self.checksums = checksums
        self.created = created
        self.raw = binlog_format.MAGIC
        self.groups: list[Group] = []
        self.marks = [(4, 0)]  # offsets up to which all is sound, and how many groups there are then
        head = struct.pack("<H50sIB", 4, b"10.11.19-MariaDB", 0, 19) + bytes(range(38)) + bytes([checksums])
        clear = self.packed(binlog_format.FORMAT, head, created, 0)
        self.raw += self.packed(binlog_format.FORMAT, head, created, int(in_use)) + struct.pack("<I", zlib.crc32(clear))
        self.mark()
        rows = b"".join(struct.pack("<IIQ", domain, server, number) for (domain, server), number in listed.items())
        self.event(binlog_format.GTID_LIST, struct.pack("<I", len(listed)) + rows)
        self.mark()

    def packed(self, kind: int, body: bytes, time: int, flags: int) -> bytes:
        length = 19 + len(body) + (4 if self.checksums or kind == binlog_format.FORMAT else 0)
        return struct.pack("<IBIIIH", time, kind, SERVER, length, 0, flags) + body

    def event(self, kind: int, body: bytes, time: int = CREATED) -> None:
        raw = self.packed(kind, body, time, 0)
        self.raw += raw + (struct.pack("<I", zlib.crc32(raw)) if self.checksums else b"")

    def mark(self) -> None:
        self.marks.append((len(self.raw), len(self.groups)))

    def group(self, time: int, domain: int, number: int, shape: str, size: int) -> None:
        self.groups.append(Group(len(self.raw), time, domain, SERVER, number))
        self.event(binlog_format.GTID_EVENT, struct.pack("<QIB6x", number, domain, shape == "ddl"), time)
        self.event(160, b"# what " * size)
        if shape == "ddl":
            self.event(binlog_format.QUERY, query(b"CREATE TABLE t (a INT)" * size))
        else:
            self.event(23, b"row" * size)
            self.event(binlog_format.XID, bytes(8)) if shape == "xid" else self.event(
                binlog_format.QUERY, query(b"COMMIT")
            )
        self.mark()

    def close(self, time: int) -> None:
        self.event(binlog_format.ROTATE, struct.pack("<Q", 4) + b"binlog.000002", time)
        self.mark()

    def facts(self, data: bytes, pieces: int) -> tuple[Facts, list[Group]]:
        groups: list[Group] = []
        reader = Reader(groups.append)
        for at in range(0, len(data), pieces):
            reader.feed(data[at : at + pieces])
        return reader.facts(), groups


def query(text: bytes) -> bytes:
    return struct.pack("<IIBHH", 1, 0, 2, 0, 3) + b"\x05\x06\x07" + b"db\0" + text
