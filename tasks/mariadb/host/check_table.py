"""Whether the tables in restored data are intact: CHECK TABLE on each, and the files that InnoDB knows of.

Part of drills, which run alone on a host: standard library only, Python 3.8 and later, except `private_server` and
`damage`, which are sent along.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tasks.mariadb.damage import shown, table
from tasks.mariadb.host.ordinary_user import DrillFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tasks.mariadb.host.private_server import Private
    from tasks.mariadb.host.tables import Known

DISCARDED = "its tablespace was discarded on the server, so it has no data"
SOUND = ("ok", "table is already up to date")  # last message of CHECK TABLE for an intact table
UNCHECKABLE = "doesn't support check"
# Engines whose tables are files or other servers that the definition names, none of which mariadb-backup copies.
ELSEWHERE = ("CONNECT", "FEDERATED", "S3", "SPHINX", "SPIDER")
TABLES = (
    "SELECT HEX(TABLE_SCHEMA), HEX(TABLE_NAME), HEX(IFNULL(ENGINE, '')) FROM information_schema.TABLES"
    " WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW')"
    " AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2"
)
# InnoDB's own list, by file name: a table without any of its files is in no other list.
INNODB = "SELECT HEX(NAME), SPACE FROM information_schema.INNODB_SYS_TABLES WHERE NAME LIKE '%/%' ORDER BY NAME"
PARTITION = re.compile("#p#", re.IGNORECASE)
UNFINISHED = "/#sql"  # of an unfinished ALTER TABLE
HELPER = re.compile(r"/FTS_[0-9a-f]{16}_")  # tables of a full-text index, which have no definition file
TOLD = 100  # tables between two progress messages
NAMED_FAULTS = 3  # damaged tables named in a message


def excused(server: Private, expected: Known | None) -> dict[str, str]:
    """Return the known reasons, by `schema.table`, for tables that were already damaged on the saved server."""
    if expected is None:
        return {}
    reasons = dict.fromkeys(expected.discarded, DISCARDED)
    for name, pages in expected.damaged.items():
        reasons[table(name)] = f"{shown(pages)} on the server that was saved already"
    pairs = [name.partition("/") for name in reasons]
    said = server.ask("".join(f"SELECT {decoded(schema)}, {decoded(name)};\n" for schema, _, name in pairs))
    names = [".".join(printable(text(cell)) for cell in line.split("\t")) for line in said.stdout.splitlines()]
    return dict(zip(names, reasons.values()))  # noqa: B905 (`strict` is of Python 3.10)


def decoded(name: str) -> str:
    """Return SQL that decodes a name as spelt in a file name."""
    return f"HEX(CONVERT(_filename X'{name.encode().hex()}' USING utf8mb4))"


def check_tables(server: Private, known: Mapping[str, str]) -> tuple[int, list[str]]:
    """Check every table; return their number, and the server's remarks on some. Raises DrillFault.

    Tables whose data is elsewhere are not opened: whoever made the archive has named the place. `known` maps tables
    that are expected to be damaged to the reason.
    """
    listed = server.ask(TABLES)
    if listed.returncode != 0:
        raise DrillFault(f"the tables cannot be listed: {last(listed.stderr)}")
    rows = [tuple(text(cell) for cell in line.split("\t")) for line in listed.stdout.splitlines()]
    names = [row[:2] for row in rows if row[2].upper() not in ELSEWHERE]
    checks = server.run / "checks"
    checks.write_text(
        "".join(
            # The number identifies the answer: the answer itself names `a.b`.`c` and `a`.`b.c` alike.
            f"SELECT {number};\nCHECK TABLE {quoted(database)}.{quoted(table)} EXTENDED;\n"
            for number, (database, table) in enumerate(names)
        ),
        encoding="utf-8",
    )
    said: dict[str, list[tuple[str, str]]] = {}
    with checks.open("rb") as statements, (server.run / "check-errors").open("w+b") as errors:
        client = subprocess.Popen(
            server.client_words(), cwd=server.run, env=server.client_environment(),
            stdin=statements, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        assert client.stdout is not None
        for line in client.stdout:
            cells = line.decode(errors="replace").rstrip("\n").split("\t", 3)
            if len(cells) == 1:
                table = ".".join(map(printable, names[int(cells[0])]))
                said[table] = []
                if len(said) % TOLD == 1:
                    tell(f"checks tables, {len(said)} of {len(names)}")
            else:
                said[table].append((cells[2].lower(), cells[3]))
        if client.wait() != 0:
            errors.seek(0)
            complaint = last(errors.read().decode(errors="replace"))
            raise DrillFault(
                f"the check ended after {len(said)} of {len(names)} tables: {complaint}; {server.complaint()}"
            )
    return len(names), [*unproven(rows), *judged(said, len(names), known)]


def unproven(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a remark for each engine whose tables have no data in the backup, from rows of database, table, engine."""
    remarks = []
    for engine in ELSEWHERE:
        found = [".".join(map(printable, row[:2])) for row in rows if row[2].upper() == engine]
        more = f" and {len(found) - NAMED_FAULTS} more" if len(found) > NAMED_FAULTS else ""
        if found:
            first = f"{', '.join(found[:NAMED_FAULTS])}{more}"
            remarks.append(
                f"{first}: of the engine {engine}, whose data is not in the backup: only definitions come back"
            )
    return remarks


def find_lost(server: Private, discarded: Sequence[str] = ()) -> None:
    """Raise DrillFault if a file of an InnoDB table is missing that existed on the saved server."""
    listed = server.ask(INNODB)
    if listed.returncode != 0:
        raise DrillFault(f"InnoDB's tables cannot be listed: {last(listed.stderr)}")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    spaces = {text(name): int(space) for name, space in rows}
    gone = lost(server.data, {name: 0 if name in discarded else space for name, space in spaces.items()})
    if gone:
        raise DrillFault(f"{len(gone)} files of InnoDB tables are missing: {', '.join(gone[:NAMED_FAULTS])}")


def lost(data: Path, spaces: dict[str, int]) -> list[str]:
    """Return the missing files of tables, given by their InnoDB names and tablespace ids.

    Id 0 is the system tablespace, in which a table has no file of its own (innodb_file_per_table=OFF).
    """
    wanted = [f"{name}.ibd" for name, space in spaces.items() if space and UNFINISHED not in name]
    defined = (name for name in spaces if UNFINISHED not in name and not HELPER.search(name))
    wanted += sorted({f"{PARTITION.split(name)[0]}.frm" for name in defined})
    return [name for name in wanted if not (data / name).exists()]


def judged(said: dict[str, list[tuple[str, str]]], count: int, known: Mapping[str, str]) -> list[str]:
    """Return remarks on intact tables from the messages of CHECK TABLE. Raises DrillFault if one is damaged."""
    if len(said) != count:
        raise DrillFault(f"{count} tables were to be checked, and {len(said)} were")
    damaged, remarks = [], []
    for name, rows in said.items():
        if not rows:
            raise DrillFault(f"CHECK TABLE says nothing of {name}")
        others = [message for kind, message in rows if kind != "status"]
        if name in known:
            remarks.append(f"{name}: {known[name]}")
        elif any(UNCHECKABLE in message for message in others):
            remarks.append(f"{name}: its storage engine checks nothing")
        elif any(kind == "error" for kind, _ in rows) or rows[-1][1].lower() not in SOUND:
            damaged.append(f"{name}: {(others or [rows[-1][1]])[0]}")
        else:
            remarks += [f"{name}: {message}" for message in others]
    if damaged:
        more = f"; and {len(damaged) - NAMED_FAULTS} more" if len(damaged) > NAMED_FAULTS else ""
        raise DrillFault(f"{len(damaged)} of {count} tables are damaged: {'; '.join(damaged[:NAMED_FAULTS])}{more}")
    return remarks


def text(cell: str) -> str:
    """Decode a name from HEX()."""
    return bytes.fromhex(cell).decode()


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return "`" + name.replace("`", "``") + "`"


def printable(name: str) -> str:
    """Return a name for people: as it is, or quoted if a dot or line break in it would mislead."""
    return quoted(name) if re.search(r"[.`\s]", name) else name


def last(lines: str) -> str:
    """Return the last line."""
    return lines.strip().splitlines()[-1] if lines.strip() else "no message"


def tell(what: str) -> None:
    """Print the current step."""
    sys.stderr.write(f"drill: {what}\n")
    sys.stderr.flush()
