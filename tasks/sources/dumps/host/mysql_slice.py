"""Writes the tables and rows of one database, or of one table, out of a dump of `mysql_dump.sh`. Runs alone on a host.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `database`; `table`, or null for all.

Only statements `CREATE TABLE` and `INSERT INTO` are written, as they are in the dump: whoever runs them must look at
them first.

The last line of standard error is `cloudbackup slice` and JSON: `tables`, the number of tables; or `fault`, and then
the exit code is 1. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SLICED = "cloudbackup slice\t"
USE = re.compile(rb"USE `((?:[^`]|``)+)`;\n")
STATEMENT = re.compile(rb"(?:CREATE TABLE|INSERT INTO) `((?:[^`]|``)+)`")
TAKEN = re.compile(rb"CREATE TABLE `|(?:INSERT|REPLACE)\s", re.IGNORECASE)
DELIMITER = b"DELIMITER "
TAIL = 4096  # last bytes in which END is looked for
END = b"-- cloudbackup changed:"


class OtherFormError(Exception):
    """Rows in a form that is not taken apart; the text is the beginning of the statement."""


def main() -> int:
    """Write the slice of the plan in the first argument; return the exit code."""
    plan = json.loads(sys.argv[1])
    database, table = plan["database"].encode(), (plan["table"] or "").encode()
    created: set[bytes] = set()
    other = ""
    with open(plan["file"], "rb") as dump:
        try:
            for statement in statements(dump, database):
                found = STATEMENT.match(statement)
                name = unquoted(found[1]) if found else b""
                if not table or name == table:
                    created.add(name)
                    sys.stdout.buffer.write(statement)
        except OtherFormError as error:
            other = f"rows of the dump are in a form that cannot be taken apart: {error}"
        dump.seek(max(os.fstat(dump.fileno()).st_size - TAIL, 0))
        whole = dump.read().rstrip(b"\n").rpartition(b"\n")[2].startswith(END)
    sys.stdout.buffer.flush()
    what = f"{plan['database']}.{plan['table']}" if table else plan["database"]
    lacks = "" if created else f"the dump has no table of {what}"
    fault = other or ("the dump is cut short" if not whole else lacks)
    sys.stderr.write(f"{SLICED}{json.dumps({'fault': fault} if fault else {'tables': len(created)})}\n")
    return 1 if fault else 0


def statements(lines: Iterable[bytes], database: bytes) -> Iterator[bytes]:
    """Yield the statements that create tables of a database or give them rows, each with its `;` and line end.

    Raises OtherFormError for rows that are given otherwise: left out, they would be missing.

    mariadb-dump and mysqldump write each statement on lines of its own, and no line end within a value. What is between
    two lines DELIMITER is code of a trigger, routine or event.
    """
    ours, code, held = False, False, b""
    for line in lines:
        if held:
            held += line
        elif line.startswith(DELIMITER):
            code = line.strip() != b"DELIMITER ;"
        elif code:
            continue
        elif use := USE.fullmatch(line):
            ours = unquoted(use[1]) == database
        elif ours and TAKEN.match(line):
            held = known(line)
        if held.endswith(b";\n"):
            yield held
            held = b""


def known(line: bytes) -> bytes:
    """Return the first line of a statement. Raises OtherFormError."""
    if not STATEMENT.match(line):
        raise OtherFormError(line[:40].decode("utf-8", "replace").strip())
    return line


def unquoted(name: bytes) -> bytes:
    """Return a name without what stands for a backquote in it."""
    return name.replace(b"``", b"`")


if __name__ == "__main__":
    sys.exit(main())
