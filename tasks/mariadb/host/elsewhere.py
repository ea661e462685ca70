"""Tables whose data is in other files or on other servers (see `check_table`), in what a private server is asked for.

Part of `serve`, which runs alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.mariadb.host.check_table import ELSEWHERE, TABLES, last, printable, quoted, text
from tasks.mariadb.host.ordinary_user import DrillFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.mariadb.host.private_server import Private

REMEDY = "give the other tables; `inv mariadb.dump` writes its definition with --no-rows"


def elsewhere(server: Private) -> list[tuple[str, ...]]:
    """Return these tables, each as database, table and engine. Raises DrillFault."""
    listed = server.ask(TABLES)
    if listed.returncode != 0:
        raise DrillFault(f"the tables cannot be listed: {last(listed.stderr)}")
    rows = [tuple(text(cell) for cell in line.split("\t")) for line in listed.stdout.splitlines()]
    return [row for row in rows if row[2].upper() in ELSEWHERE]


def require_here(rows: Sequence[tuple[str, ...]], database: str, tables: Sequence[str]) -> None:
    """Raise DrillFault if the data of a table that was asked for is elsewhere."""
    for schema, table, engine in rows:
        if schema == database and table in tables:
            name = ".".join(map(printable, (schema, table)))
            raise DrillFault(f"{name} is of the engine {engine}: its data is not in the backup", REMEDY)


def options(server: Private, rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the options with which mariadb-dump writes the definitions alone, and nothing where there is none."""
    said = []
    for schema, table, _ in rows:
        shown = server.ask(f"SHOW CREATE TABLE {quoted(schema)}.{quoted(table)}").returncode == 0
        said.append(f"--ignore-table{'-data' if shown else ''}={schema}.{table}")
    return said
