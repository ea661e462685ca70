"""Reads binary log files event by event: their identity, what they continue, and where each transaction is.

A file is 4 bytes of magic followed by events, numbers little endian: 4 time (seconds since 1970), 1 type, 4 server id,
4 length, 4 end position, 2 flags, body, and 4 CRC-32 if the first event says so. The first is Format_description (its
time is the file's creation time), then comes Gtid_list (the binary log's GTID state at the file's start). Each
transaction is a group that begins with a Gtid event. Layouts: mariadb.com/kb, "Binlog Event Header" and the pages of
the events; verified with MariaDB 10.11.19.

A file left by a crashed server does not end in a Rotate or Stop event, perhaps in the middle of an event or group. The
server continues after the last complete group; so does `Facts.sound`.

Also runs alone on a host, as part of `collect_binlogs` and `replay`: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    State = dict[tuple[int, int], int]  # the last sequence number of each (domain, server)

# The name under which a binary log is saved, recorded and restored: the server's log_bin, which may contain spaces, and
# a number.
NAME = re.compile(r"[^/\x00-\x1f]{1,500}\.[0-9]{1,9}")
MAGIC = b"\xfebin"
HEADER = struct.Struct("<IBIIIH")
GTID = struct.Struct("<QIB")
LISTED = struct.Struct("<IIQ")
QUERY_HEAD = struct.Struct("<IIBHH")
PIECE = 1 << 20
KEPT = 1 << 12  # leading bytes that are kept of an event longer than PIECE

QUERY, STOP, ROTATE, FORMAT, XID, XA_PREPARE = 2, 3, 4, 15, 16, 38
GTID_EVENT, GTID_LIST, ENCRYPTION, QUERY_COMPRESSED = 162, 163, 164, 165
# Within a statement: load blocks, INSERT_ID, RAND(), user variables, table maps, the statement's text as a comment.
PARTS = {5, 8, 9, 13, 14, 17, 19, 160}
LOADS = {6, 12, 17, 18}  # Load, New_load, Begin_load_query, Execute_load_query
ENDS = (b"COMMIT", b"ROLLBACK", b"XA COMMIT ", b"XA ROLLBACK ")
STANDALONE = 1  # flag of a Gtid event: no COMMIT follows
IN_USE = 1  # flag of Format_description, cleared at an orderly end without updating the checksum


class Group(NamedTuple):
    """A transaction: the offset of its Gtid event, and its time (seconds since 1970, by its session's clock)."""

    offset: int
    time: int
    domain: int
    server: int
    number: int

    @property
    def gtid(self) -> str:
        """Return the GTID as MariaDB writes it."""
        return f"{self.domain}-{self.server}-{self.number}"


class Facts(NamedTuple):
    """The facts about a file.

    `created` is the time of its first event. `start` and `end` are GTID states; `sound` is the offset after the last
    complete group or event, `size` the file's length; `closed` is when it was closed in order, else None. `fault` is
    why it could not be read beyond `sound`; a file cut off by a crash has none. `loads`: it holds data that LOAD DATA
    read from a file.
    """

    server: int
    created: int
    start: State
    end: State
    groups: int
    sound: int
    size: int
    closed: int | None
    fault: str
    loads: bool = False


class Reader:
    """Takes a file's bytes in pieces of any length. `on_group` is called with each complete group, in order."""

    def __init__(self, on_group: Callable[[Group], None] | None = None) -> None:
        self.on_group = on_group
        self.on_query: Callable[[bytes, bytes], None] | None = None  # gets each statement: text, status variables
        self.fault = ""
        self.loads = False
        self.server = self.created = self.groups = 0
        self.start: State = {}
        self.end: State = {}
        self.last: dict[int, Group] = {}  # of each domain
        self.sound = 0
        self.closed: int | None = None
        self._at = 0  # bytes read as complete events
        self._taken = 0
        self._rest = b""
        self._checksums = False
        self._group: Group | None = None  # the current, unfinished group
        self._alone = False
        self._skip = 0  # remaining bytes of a long event
        self._crc = 0
        self._head = b""

    def feed(self, data: bytes) -> None:
        """Process the next bytes."""
        self._taken += len(data)
        if self.fault:
            return
        buffer = self._rest + data if self._rest else data
        place = self._magic(buffer) if self._at == 0 else 0
        view, before = memoryview(buffer), -1
        while place > before and not self.fault:
            before = place
            place = self._skipped(view, place) if self._skip else self._next(view, place)
        self._rest = b"" if self.fault else buffer[place:]

    def _magic(self, buffer: bytes) -> int:
        """Check the magic bytes; return the offset of the first event, 0 if they are not complete yet."""
        if not MAGIC.startswith(buffer[: len(MAGIC)]):
            self.fault = "it is no binary log, or an encrypted one"
        if len(buffer) >= len(MAGIC):
            self._at = self.sound = len(MAGIC)
        return self._at

    def _next(self, view: memoryview, place: int) -> int:
        """Process the event at `place`, if it is complete; return the offset of the next one."""
        there = len(view) - place
        if self._at == 0 or there < HEADER.size:
            return place
        length = HEADER.unpack_from(view, place)[3]
        if length < HEADER.size + (4 if self._checksums else 0):
            self.fault = f"an event of {length} bytes at {self._at}"
        elif there >= length:
            self._checked(view[place : place + length])
            return place + int(length)
        elif length > PIECE and there >= KEPT:
            self._head, self._crc, self._skip = bytes(view[place : place + KEPT]), 0, length
            return self._skipped(view, place)
        return place

    def facts(self) -> Facts:
        """Return the facts; all bytes must have been fed."""
        return Facts(
            server=self.server,
            created=self.created,
            start=self.start,
            end=self.end,
            groups=self.groups,
            sound=self.sound,
            size=self._taken,
            closed=self.closed,
            fault=self.fault,
            loads=self.loads,
        )

    def _skipped(self, view: memoryview, place: int) -> int:
        """Process the available part of a long event; return the offset after it."""
        count = min(self._skip, len(view) - place)
        length = HEADER.unpack_from(self._head)[3]
        before = max(min(count, self._skip - 4), 0)  # the last four bytes are the checksum
        self._crc = zlib.crc32(view[place : place + before], self._crc)
        if self._skip <= 4 or before < count:
            self._head += bytes(view[place + before : place + count])
        self._skip -= count
        if not self._skip:
            if self._checksums and self._crc != int.from_bytes(self._head[-4:], "little"):
                self.fault = f"a wrong checksum at {self._at}"
            else:
                self._taking(memoryview(self._head[:-4]), length)
        return place + count

    def _checked(self, event: memoryview) -> None:
        kind = event[4]
        if kind == FORMAT:
            self._format(event)
        body = event[:-4] if self._checksums or kind == FORMAT else event
        if self._checksums and not self.fault:
            crc = zlib.crc32(body)
            if kind == FORMAT:
                clear = bytearray(body)
                clear[17] &= ~IN_USE & 0xFF
                crc = zlib.crc32(clear)
            if crc != int.from_bytes(event[-4:], "little"):
                self.fault = f"a wrong checksum at {self._at}"
        if not self.fault:
            self._taking(body, len(event))

    def _format(self, event: memoryview) -> None:
        if self._at != len(MAGIC):
            self.fault = f"a second Format_description at {self._at}"
            return
        self.created, _, self.server, length, _, _ = HEADER.unpack_from(event)
        if length < HEADER.size + 62 or event[-5] > 1:
            self.fault = "its first event is of an unknown form"
            return
        self._checksums = event[-5] == 1

    def _taking(self, body: memoryview, length: int) -> None:
        """Process one event; without checksums, a damaged one may be shorter than its own fields say."""
        try:
            if body[4] in (QUERY, QUERY_COMPRESSED) and self.on_query:
                self.on_query(*query(body))
            self._event(body, length)
        except struct.error:
            self.fault = f"a damaged event at {self._at}"

    def _event(self, body: memoryview, length: int) -> None:
        """Process one event, without its checksum; `length` includes it."""
        time, kind = HEADER.unpack_from(body)[:2]
        if self._at == len(MAGIC) and kind != FORMAT:
            self.fault = "it does not begin with a Format_description"
            return
        if kind == GTID_EVENT:
            self._complete()
            number, domain, flags = GTID.unpack_from(body, HEADER.size)
            self._group = Group(self._at, time, domain, HEADER.unpack_from(body)[2], number)
            self._alone = bool(flags & STANDALONE)
        elif kind == GTID_LIST:
            self._listed(body)
        elif kind in (ROTATE, STOP):
            self._complete()
            self.closed = time
        elif kind == ENCRYPTION:
            self.fault = "it is encrypted"
            return
        self.loads = self.loads or kind in LOADS
        self._at += length
        if self._group is not None and self._ends(kind, body):
            self._complete()
        if self._group is None:
            self.sound = self._at

    def _ends(self, kind: int, body: memoryview) -> bool:
        """Return whether an event ends the current group."""
        if kind == GTID_EVENT:
            return False
        if self._alone:
            return kind not in PARTS
        if kind in (XID, XA_PREPARE):
            return True
        if kind not in (QUERY, QUERY_COMPRESSED):
            return False
        text = query(body)[0][:16]
        return text in ENDS or text.startswith(ENDS[2:])

    def _complete(self) -> None:
        group, self._group = self._group, None
        if group is None:
            return
        self.end[group.domain, group.server] = group.number
        self.last[group.domain] = group
        self.groups += 1
        if self.on_group:
            self.on_group(group)

    def _listed(self, body: memoryview) -> None:
        count = int.from_bytes(body[HEADER.size : HEADER.size + 4], "little") & 0x0FFFFFFF
        for index in range(count):
            domain, server, number = LISTED.unpack_from(body, HEADER.size + 4 + index * LISTED.size)
            self.start[domain, server] = self.end[domain, server] = number
            self.last[domain] = Group(0, 0, domain, server, number)


def query(body: memoryview) -> tuple[bytes, bytes]:
    """Return the statement of a Query event, or its beginning, and its status variables. Raises struct.error.

    With log_bin_compress, the text is a byte whose lowest bits give the size of its length field, that length, and zlib
    data (`query_event_uncompress` of sql/log_event.cc; only zlib is known, 10.11.19).
    """
    _, _, database, _, status = QUERY_HEAD.unpack_from(body, HEADER.size)
    begin = HEADER.size + QUERY_HEAD.size
    text, variables = bytes(body[begin + status + database + 1 :]), bytes(body[begin : begin + status])
    if body[4] != QUERY_COMPRESSED or not text:
        return text, variables
    try:
        return zlib.decompressobj().decompress(text[1 + (text[0] & 7) :], PIECE), variables
    except zlib.error:
        raise struct.error("no compressed statement") from None


def read(
    file: IO[bytes],
    on_group: Callable[[Group], None] | None = None,
    upto: int | None = None,
    on_query: Callable[[bytes, bytes], None] | None = None,
) -> Reader:
    """Read a file, or its first `upto` bytes. Raises OSError."""
    reader = Reader(on_group)
    reader.on_query = on_query
    left = upto
    while left is None or left > 0:
        piece = file.read(PIECE if left is None else min(PIECE, left))
        if not piece:
            break
        reader.feed(piece)
        left = None if left is None else left - len(piece)
    return reader


def text(state: State) -> str:
    """Return a GTID state in a normalized order."""
    return ",".join(f"{domain}-{server}-{number}" for (domain, server), number in sorted(state.items()))


def state(gtids: str) -> State:
    """Parse @@gtid_binlog_state. Raises ValueError."""
    found: State = {}
    for gtid in filter(None, (each.strip() for each in gtids.split(","))):
        domain, server, number = map(int, gtid.split("-"))
        found[domain, server] = number
    return found


def successor(name: str) -> str:
    """Return the name of the file after `name`: binlog.000009, binlog.000010."""
    stem, _, number = name.rpartition(".")
    return f"{stem}.{int(number) + 1:0{len(number)}d}"
