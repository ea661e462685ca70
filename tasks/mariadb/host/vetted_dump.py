r"""Lets tables and rows through from a dump of data that is not trusted, as SQL of our own. Runs alone on the host.

    mariadb-dump --compact ... | python3 -c "$VETTED" JSON | mariadb

JSON: `into`, the database for the tables; `only`, the one table that may come, or null for any. A dump holds whatever
the archive's author wrote: statements for other databases, code that runs as its definer, the client's own commands
(`\!`, `source`). So nothing passes but two forms, which are read to the last token: `CREATE TABLE` of words that we
know, and `INSERT` of plain values. Each is written with its database before its name. Foreign keys are left out.

The last line of standard error is `cloudbackup vetted` and JSON: `rows` of each table, and `keys`, the number of
foreign keys that were left out; or `fault`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

VETTED = "cloudbackup vetted\t"
PREAMBLE = (
    b"SET NAMES utf8mb4;\nSET time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0,"
    b" unique_checks = 0, innodb_strict_mode = 0;\n"
)
LONGEST = 1 << 31  # bytes of one statement: a row may have a gigabyte
SANDBOX = rb"/\*M?!999999\\- enable the sandbox mode \*/ ?\n"
SET = re.compile(
    rb"/\*!40101 SET @saved_cs_client     = @@character_set_client \*/|/\*!40101 SET character_set_client ="
    rb" (?:@saved_cs_client|utf8mb4|utf8) \*/"
)
TEXT = rb"'[^'\\]*(?:\\.[^'\\]*)*'"
VALUE = rb"(?:NULL|0x[0-9A-Fa-f]*|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|(?:_binary )?" + TEXT + rb")"
ROW = re.compile(rb"\(" + VALUE + rb"(?:," + VALUE + rb")*\)", re.DOTALL)
NAME = rb"`(?:[^`\0]|``)+`"
COLUMNS = rb" \(" + NAME + rb"(?:, " + NAME + rb")*\)"
INSERT = re.compile(rb"INSERT INTO (" + NAME + rb")(" + COLUMNS + rb")? VALUES[ \n]")
CREATE = re.compile(rb"CREATE TABLE (" + NAME + rb") (?=\()")
TOKEN = re.compile(
    rb"\s+|" + NAME + rb"|'(?:[^'\\]|\\.|'')*'|[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_])|0x[0-9A-Fa-f]+"
    rb"|[A-Za-z_][A-Za-z0-9_]*|/(?!\*)|-(?!-)|\|\||<>|[(),=<>+*%.&|!^~]", re.DOTALL,
)  # fmt: skip
ENGINES = frozenset((b"INNODB", b"ARIA", b"MYISAM", b"MEMORY", b"CSV", b"ARCHIVE", b"ROCKSDB"))
# Words of definitions as SHOW CREATE TABLE writes them, types, and functions that neither read nor wait for anything.
# Not among them: CONNECTION, UNION, DATA DIRECTORY and other engines, which reach beyond the table; SELECT; LOAD_FILE.
WORDS = frozenset(
    b"""
    NOT NULL DEFAULT AUTO_INCREMENT PRIMARY UNIQUE KEY FULLTEXT SPATIAL CONSTRAINT CHECK COMMENT USING BTREE
    HASH RTREE GENERATED ALWAYS AS VIRTUAL STORED PERSISTENT INVISIBLE ON UPDATE CHARACTER SET COLLATE CHARSET
    ENGINE ROW_FORMAT KEY_BLOCK_SIZE PAGE_CHECKSUM PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL CHECKSUM
    DELAY_KEY_WRITE MAX_ROWS MIN_ROWS AVG_ROW_LENGTH PACK_KEYS STATS_PERSISTENT STATS_AUTO_RECALC
    STATS_SAMPLE_PAGES TRANSACTIONAL WITH WITHOUT SYSTEM VERSIONING PERIOD FOR OVERLAPS ROW START END IGNORED
    ASC DESC REF_SYSTEM_ID DYNAMIC FIXED COMPACT REDUNDANT COMPRESSED PAGE YES NO ENCRYPTED ENCRYPTION_KEY_ID
    TABLE_CHECKSUM PARTITION PARTITIONS SUBPARTITION SUBPARTITIONS BY RANGE LIST COLUMNS LINEAR VALUES LESS
    THAN MAXVALUE IN SYSTEM_TIME INTERVAL LIMIT HISTORY CURRENT STARTS AUTO ALGORITHM FOREIGN REFERENCES
    DELETE CASCADE RESTRICT ACTION MATCH INT INTEGER TINYINT SMALLINT MEDIUMINT BIGINT DECIMAL NUMERIC FLOAT
    DOUBLE BIT UNSIGNED ZEROFILL SIGNED CHAR VARCHAR BINARY VARBINARY TINYBLOB BLOB MEDIUMBLOB LONGBLOB
    TINYTEXT TEXT MEDIUMTEXT LONGTEXT ENUM JSON DATE TIME DATETIME TIMESTAMP YEAR UUID INET4 INET6 POINT
    LINESTRING POLYGON MULTIPOINT MULTILINESTRING MULTIPOLYGON GEOMETRY GEOMETRYCOLLECTION VECTOR AND OR XOR
    IS TRUE FALSE BETWEEN LIKE REGEXP RLIKE DIV MOD CASE WHEN THEN ELSE ESCAPE CAST CONVERT JSON_VALID
    JSON_VALUE JSON_EXTRACT JSON_UNQUOTE JSON_LENGTH JSON_TYPE JSON_EXISTS JSON_CONTAINS JSON_ARRAY
    JSON_OBJECT IF IFNULL NULLIF COALESCE CONCAT CONCAT_WS LENGTH OCTET_LENGTH CHAR_LENGTH LOWER UPPER LCASE
    UCASE TRIM LTRIM RTRIM LEFT RIGHT SUBSTR SUBSTRING SUBSTRING_INDEX LPAD RPAD REPLACE REVERSE REPEAT LOCATE
    INSTR HEX UNHEX MD5 SHA1 SHA2 CRC32 ABS CEILING FLOOR ROUND TRUNCATE SIGN GREATEST LEAST POW POWER SQRT
    BIT_COUNT INET_ATON INET_NTOA INET6_ATON INET6_NTOA CURRENT_TIMESTAMP CURRENT_DATE CURRENT_TIME NOW
    CURDATE CURTIME UTC_TIMESTAMP UNIX_TIMESTAMP FROM_UNIXTIME SYS_GUID RAND DAYOFMONTH DAYOFWEEK DAYOFYEAR
    MONTH QUARTER WEEK WEEKDAY HOUR MINUTE SECOND TO_DAYS TO_SECONDS DATE_FORMAT STR_TO_DATE DATEDIFF
    TIMESTAMPDIFF TIME_TO_SEC YEARWEEK LAST_DAY DAY MICROSECOND DATE_ADD DATE_SUB EXTRACT ST_GEOMFROMTEXT ST_X
    ST_Y UUID_V4 UUID_V7 _UTF8MB4
    """.split()
)
AFTER = (b"COLLATE", b"CHARSET", b"SET")  # a collation or character set follows, or `=` and one

BEFORE_NAME = (b"KEY", b"REFERENCES", b"PARTITION", b"SUBPARTITION")  # a name with parentheses after it calls nothing


class Refused(Exception):  # noqa: N818 (what is found in a dump)
    """The dump has something that is not let through."""


class Filter:
    """The tables and rows of one dump, written for the database `into`."""

    def __init__(self, into: str, only: str | None) -> None:
        self.into = quoted(into)
        self.only = quoted(only) if only is not None else None
        self.rows: dict[bytes, int] = {}
        self.keys = 0

    def passed(self, statement: bytes) -> bytes:
        """Return the statement to run in place of one of the dump, empty for none. Raises Refused."""
        if not statement.strip() or SET.fullmatch(statement.strip()):
            return b""
        insert, create = INSERT.match(statement), CREATE.match(statement)
        if create:
            return self._created(create.group(1), statement[create.end() :])
        if insert:
            return self._inserted(insert, statement)
        raise Refused(f"a statement that is not let through: {shown(statement)}")

    def _created(self, name: bytes, definition: bytes) -> bytes:
        if name in self.rows or (self.only is not None and name != self.only):
            raise Refused(f"the table {shown(name)}, which does not belong there")
        self.rows[name] = 0
        tokens = list(self._without_keys(list(tokens_of(definition, name))))
        require_known(tokens, name)
        return b"CREATE TABLE " + self.into + b"." + name + b" " + b"".join(tokens) + b";\n"

    def _inserted(self, found: re.Match[bytes], statement: bytes) -> bytes:
        name = found.group(1)
        if name not in self.rows:
            raise Refused(f"rows of {shown(name)}, which was not created")
        at, count = found.end(), 0
        while True:
            row = ROW.match(statement, at)
            if not row:
                raise Refused(f"a row of {shown(name)} that is not of plain values: {shown(statement[at:])}")
            count, at = count + 1, row.end()
            if at == len(statement):
                break
            if statement[at : at + 1] != b",":
                raise Refused(f"a row of {shown(name)} that goes on: {shown(statement[at:])}")
            at += 2 if statement[at + 1 : at + 2] == b"\n" else 1
        self.rows[name] += count
        head = b"INSERT INTO " + self.into + b"." + name + (found.group(2) or b"") + b" VALUES\n"
        return head + statement[found.end() :] + b";\n"

    def _without_keys(self, tokens: list[bytes]) -> Iterator[bytes]:
        """Yield the tokens without the definitions of foreign keys, which stand last among a table's."""
        depth, start = 0, -1
        parts: list[list[bytes]] = [[]]
        for token in tokens:
            depth += (token == b"(") - (token == b")")
            if (depth == 0 and token == b")" and start < 0) or (depth == 1 and token == b"," and start < 0):
                start = 0 if depth == 0 else start
                parts.append([token])
            else:
                parts[-1].append(token)
        for part in parts:
            if b"FOREIGN" in (token.upper() for token in part):
                self.keys += 1
            else:
                yield from part


def tokens_of(definition: bytes, name: bytes) -> Iterator[bytes]:
    """Yield the tokens of a definition. Raises Refused for what is none, such as a comment."""
    at = 0
    while at < len(definition):
        found = TOKEN.match(definition, at)
        if not found:
            raise Refused(f"a definition of {shown(name)} that cannot be read: {shown(definition[at:])}")
        yield found.group()
        at = found.end()


def require_known(tokens: list[bytes], name: bytes) -> None:
    """Raise Refused unless all words are known."""
    before: list[bytes] = [b"", b"", b""]
    for token in tokens:
        if token.isspace():
            continue
        word = token.upper()
        if re.match(rb"[A-Za-z_]", token):
            valued = before[-1] if before[-1] != b"=" else before[-2]
            known = word in ENGINES if valued == b"ENGINE" else word in WORDS or valued in AFTER
            if not known:
                raise Refused(f"the definition of {shown(name)} has {shown(token)}, which is not let through")
        elif token == b"(" and before[-1].startswith(b"`") and before[-2] not in BEFORE_NAME:
            raise Refused(f"the definition of {shown(name)} calls {shown(before[-1])}, which is not let through")
        before.append(word)


def quoted(name: str) -> bytes:
    """Return a name in backquotes."""
    return b"`" + name.replace("`", "``").encode() + b"`"


def shown(text: bytes) -> str:
    """Return the beginning of a text."""
    return text[:80].decode(errors="replace")


def statements(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the statements of a dump: each ends a line. Raises Refused for one that has no end."""
    held = re.sub(rb"\A" + SANDBOX, b"", stream.read(1 << 16))
    while True:
        *whole, held = held.split(b";\n")
        yield from whole
        if len(held) > LONGEST:
            raise Refused("a statement without an end")
        piece = stream.read(1 << 20)
        if not piece:
            break
        held += piece
    if held.strip():
        raise Refused(f"the dump ends within a statement: {shown(held)}")


def main() -> int:
    """Filter standard input; return the exit code."""
    plan, code = json.loads(sys.argv[1]), 0
    vetted = Filter(plan["into"], plan["only"])
    try:
        sys.stdout.buffer.write(PREAMBLE)
        for statement in statements(sys.stdin.buffer):
            sys.stdout.buffer.write(vetted.passed(statement))
        sys.stdout.buffer.flush()
        rows = {name[1:-1].replace(b"``", b"`").decode(errors="replace"): count for name, count in vetted.rows.items()}
        found: dict[str, object] = {"rows": rows, "keys": vetted.keys}
    except Refused as refusal:
        found, code = {"fault": str(refusal)}, 1
    except BrokenPipeError:
        found, code = {}, 1
    sys.stderr.write(f"{VETTED}{json.dumps(found)}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
