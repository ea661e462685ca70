"""Judges a dump of an SQLite database. Runs alone on a host, behind walls.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `verify`, queries that must each answer 1.

Standard output is one line of JSON: `fault` and `remedy`, or `said`; `walls`, those behind which it ran. Standard
library only, Python 3.8 and later.
"""

import contextlib
import json
import os
import sqlite3
import sys
from urllib.parse import quote

WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls


def main() -> None:
    """Judge the dump of the plan in the first argument."""
    plan = json.loads(sys.argv[1])
    try:
        found = judge(plan["file"], plan["verify"])
    except sqlite3.Error as error:
        found = {"fault": f"SQLite cannot read it: {error}"}
    print(json.dumps({**found, "walls": json.loads(os.environ.get(WALLS) or "[]")}))


def judge(file: str, queries: "list[str]") -> "dict[str, object]":
    """Return what is wrong with a dump, or remarks on it. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(file)}?mode=ro&immutable=1", uri=True)) as copy:
        copy.execute("PRAGMA trusted_schema = OFF")
        wrong = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(10)")]
        if wrong != ["ok"]:
            return {"fault": f"integrity_check: {'; '.join(wrong)}"[:1000]}
        names = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            quoted = name.replace('"', '""')
            copy.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchall()  # noqa: S608 (quoted)
        for query in queries:
            rows = copy.execute(query).fetchmany(2)
            if [tuple(map(str, row)) for row in rows] != [("1",)]:
                return {
                    "fault": f"`{query}` answers {str(rows)[:80] if rows else 'nothing'} on the restored data, not 1"
                }
    asked = f", {len(queries)} quer{'y' if len(queries) == 1 else 'ies'} answered" if queries else ""
    tables = "1 table" if len(names) == 1 else f"{len(names)} tables"
    return {"said": [f"SQLite {sqlite3.sqlite_version} finds {tables} sound{asked}"]}


if __name__ == "__main__":
    main()
