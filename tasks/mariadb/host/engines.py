"""Tables whose data no physical backup has, by the storage engine that a table's definition file names.

mariadb-backup copies the data of the server's own engines, and of all others the definition alone: what CONNECT,
SPIDER, FEDERATED, SPHINX and S3 show lies in other files or on other servers, and files of Mroonga, ColumnStore or
TokuDB are not among those that it copies, even in the data directory. Whatever is not known to be saved counts as not
saved.

A definition (`.frm`) takes no privilege to read, and is in the stream. Its layout is by MariaDB's source (unireg.cc,
table.cc) and by experiment (10.11): numbers are little endian; at offset 6 is where the keys begin (2 bytes), at 14
their length (2, or 0xffff and 4 at offset 47), at 16 the length of a row (2), at 55 the length of the extra data (4),
which begins at the sum of the first three: 2 bytes of length and a connection, 2 of length and the engine's name, 4 of
length and the clause of a partitioned table. That names the engine of its partitions, or none, as in `PARTITION BY
HASH (a) PARTITIONS 3`; then there is the engine's number alone, at offset 61 (1). Numbers from 45 on depend on the
order in which a server loaded its plugins.

Part of the stream filter, which runs alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
import struct

MAGIC = b"\xfe\x01"
# Engines whose data mariadb-backup copies; then those that have none, or none that a restart of the server leaves.
SAVED = ("INNODB", "MYISAM", "ARIA", "ARCHIVE", "CSV", "ROCKSDB", "SQL_SEQUENCE", "SEQUENCE")
WITHOUT = ("MRG_MYISAM", "BLACKHOLE", "MEMORY", "OQGRAPH", "PERFORMANCE_SCHEMA")
PARTITIONED = "partition"
# MEMORY, MyISAM, MRG_MyISAM, InnoDB, ARCHIVE, CSV, BLACKHOLE, Aria (`legacy_db_type` in sql/handler.h).
NUMBERS = (6, 9, 10, 12, 16, 17, 19, 42)
NUMBER = 61
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_OF_PARTITIONS = re.compile(rb"ENGINE\s*=\s*`?([A-Za-z0-9_-]{1,64})", re.IGNORECASE)


def engine(definition: bytes) -> str:
    """Return the name of a table's engine; empty for a view, and where the definition is of an unknown form."""
    if definition[:2] != MAGIC:
        return ""
    try:
        (keys, length, row), (extra,) = _at("<H6xHH", definition, 6), _at("<I", definition, 55)
        if length == 0xFFFF:
            (length,) = _at("<I", definition, 47)
        data = definition[keys + length + row :][:extra]
        name, rest = _text(_text(data, "<H")[1], "<H")
        if name == PARTITIONED.encode():
            name = _last(_text(definition[keys + length + row + len(data) - len(rest) :], "<I")[0]) or name
    except struct.error:
        return ""
    text = name.decode("ascii", "replace")
    return text if _NAME.fullmatch(text) else ""


def elsewhere(definition: bytes) -> str:
    """Return the engine if no physical backup has the table's data, else an empty text."""
    found = engine(definition)
    if found == PARTITIONED:
        return "" if definition[NUMBER] in NUMBERS else found
    return "" if found.upper() in (*SAVED, *WITHOUT) else found


def _at(form: str, data: bytes, offset: int) -> tuple[int, ...]:
    return struct.unpack_from(form, data, offset)


def _text(data: bytes, form: str) -> tuple[bytes, bytes]:
    """Return a text that its length precedes, and what follows it. Raises struct.error."""
    (length,), start = struct.unpack_from(form, data), struct.calcsize(form)
    return data[start : start + length], data[start + length :]


def _last(clause: bytes) -> bytes:
    """Return the engine in the clause of a partitioned table: each partition has it, so the last is as good as any."""
    found = _OF_PARTITIONS.findall(clause)
    return found[-1] if found else b""
