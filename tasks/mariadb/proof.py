"""Starts a private server on a restored and prepared data directory and examines it. Runs alone on the host.

    python3 -c "$PROOF" ready JSON      before anything is restored: could it start at all?
    python3 -c "$PROOF" prove JSON      the examination

JSON: `scratch`, the drill's own directory, whose `data` is the data directory; `verify`, queries that must each
answer 1; `patience`, seconds for the server to answer; `version`, of the server that was saved, where it is known
beforehand; `began`, when the restore began, in seconds since 1970; `tables`, what the data is to hold (as
`tables` has it), or null; `settings`, `zone` and `plugins` of that server, as `settings` has them, or null.

What it may not do is serve the live server's files: a file that the private server holds open outside of the drill's
directory is a fault.

Standard output is one line of JSON: `fault` and `remedy`, or what was found. Of the standard library only, Python 3.8
and later; but for `private`, `settings` and `tables`, which come
along.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.private import (
    ASKER,
    CLIENT,
    ORDINARY,
    SERVER,
    DrillFault,
    Private,
    clean_environment,
    give_away,
    ordinary,
    program,
    series,
)
from tasks.mariadb.settings import SLAVE_POSITION, begin, furnish, understood, without
from tasks.mariadb.tables import absent, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.mariadb.tables import Known

WALLS = "CLOUDBACKUP_WALLS"  # variable in which `walls` names itself
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SOUND = ("ok", "table is already up to date")  # CHECK TABLE's last word on a table
UNCHECKABLE = "doesn't support check"
TABLES = (
    "SELECT HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_TYPE NOT IN"
    " ('VIEW', 'SYSTEM VIEW') AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2"
)
# What InnoDB itself knows, by file name: a table whose files are not there at all is in no other list.
INNODB = "SELECT HEX(NAME), SPACE FROM information_schema.INNODB_SYS_TABLES WHERE NAME LIKE '%/%' ORDER BY NAME"
PARTITION = re.compile("#p#", re.IGNORECASE)
UNFINISHED = "/#sql"  # of an ALTER TABLE that was under way
HELPER = re.compile(r"/FTS_[0-9a-f]{16}_")  # tables of a full-text index, which no file defines
TOLD = 100  # tables between two words of progress
NAMED_FAULTS = 3  # damaged tables that a person is told by name


class Terminated(BaseException):
    """The operator was lost or wants an end."""


def require(data: Path, expected: Known | None) -> None:
    """Raise DrillFault when a table that is to be there is not. Of an older backup nobody knows which those are."""
    gone = absent(data, expected) if expected is not None else []
    if gone:
        more = f"; and {len(gone) - NAMED_FAULTS} more" if len(gone) > NAMED_FAULTS else ""
        raise DrillFault(
            f"tables of the server that was saved are missing: {'; '.join(gone[:NAMED_FAULTS])}{more}",
            "an older backup may have them; `inv app.check` tells what an option file has mariadb-backup leave out",
        )


def empty(server: Private, expected: Known | None) -> list[str]:
    """Return the tables, as `schema.table`, that had no tablespace (DISCARD) on the server that was saved either."""
    if expected is None or not expected.discarded:
        return []
    pairs = [name.partition("/") for name in expected.discarded]
    said = server.ask("".join(f"SELECT {decoded(schema)}, {decoded(table)};\n" for schema, _, table in pairs))
    return [".".join(printable(text(cell)) for cell in line.split("\t")) for line in said.stdout.splitlines()]


def decoded(name: str) -> str:
    """Return SQL for a name that is spelt as in a file's name."""
    return f"HEX(CONVERT(_filename X'{name.encode().hex()}' USING utf8mb4))"


def check_tables(server: Private, discarded: Sequence[str] = ()) -> tuple[int, list[str]]:
    """Check every table; return how many there are, and what else the server says of some. Raises DrillFault.

    `discarded` are tables of which no data is to be expected.
    """
    listed = server.ask(TABLES)
    if listed.returncode != 0:
        raise DrillFault(f"the tables cannot be listed: {last(listed.stderr)}")
    names = [tuple(text(cell) for cell in line.split("\t")) for line in listed.stdout.splitlines()]
    checks = server.run / "checks"
    checks.write_text(
        "".join(
            # The number says whose answer follows: the answer itself calls `a.b`.`c` and `a`.`b.c` alike.
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
    return len(names), judged(said, len(names), discarded)


def find_lost(server: Private, discarded: Sequence[str] = ()) -> None:
    """Raise DrillFault when a file of an InnoDB table is missing that had one on the server that was saved."""
    listed = server.ask(INNODB)
    if listed.returncode != 0:
        raise DrillFault(f"InnoDB's tables cannot be listed: {last(listed.stderr)}")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    spaces = {text(name): int(space) for name, space in rows}
    gone = lost(server.data, {name: 0 if name in discarded else space for name, space in spaces.items()})
    if gone:
        raise DrillFault(f"{len(gone)} files of InnoDB tables are missing: {', '.join(gone[:NAMED_FAULTS])}")


def lost(data: Path, spaces: dict[str, int]) -> list[str]:
    """Return the files that are missing, of tables by their names in InnoDB and the ids of their tablespaces.

    Id 0 is the system tablespace, in which a table has no file of its own (innodb_file_per_table=OFF).
    """
    wanted = [f"{name}.ibd" for name, space in spaces.items() if space and UNFINISHED not in name]
    defined = (name for name in spaces if UNFINISHED not in name and not HELPER.search(name))
    wanted += sorted({f"{PARTITION.split(name)[0]}.frm" for name in defined})
    return [name for name in wanted if not (data / name).exists()]


def judged(said: dict[str, list[tuple[str, str]]], count: int, discarded: Sequence[str] = ()) -> list[str]:
    """Return remarks on sound tables from what CHECK TABLE said of each. Raises DrillFault when one is damaged."""
    if len(said) != count:
        raise DrillFault(f"{count} tables were to be checked, and {len(said)} were")
    damaged, remarks = [], []
    for table, rows in said.items():
        if not rows:
            raise DrillFault(f"CHECK TABLE says nothing of {table}")
        others = [message for kind, message in rows if kind != "status"]
        if table in discarded:
            remarks.append(f"{table}: its tablespace was discarded on the server, so it has no data")
        elif any(UNCHECKABLE in message for message in others):
            remarks.append(f"{table}: its storage engine checks nothing")
        elif any(kind == "error" for kind, _ in rows) or rows[-1][1].lower() not in SOUND:
            damaged.append(f"{table}: {(others or [rows[-1][1]])[0]}")
        else:
            remarks += [f"{table}: {message}" for message in others]
    if damaged:
        more = f"; and {len(damaged) - NAMED_FAULTS} more" if len(damaged) > NAMED_FAULTS else ""
        raise DrillFault(f"{len(damaged)} of {count} tables are damaged: {'; '.join(damaged[:NAMED_FAULTS])}{more}")
    return remarks


def verify(server: Private, queries: list[str]) -> None:
    """Run the app's own queries. Raises DrillFault unless each answers 1, one row of one column."""
    for query in queries:
        tell(f"asks {query}")
        done = server.ask(query, ASKER)
        answer = done.stdout.strip("\n")
        if done.returncode != 0:
            raise DrillFault(f"`{query}` fails on the restored data: {last(done.stderr)}")
        if answer != "1":
            shown = " ".join(answer.split())[:80] or "nothing"
            raise DrillFault(f"`{query}` answers {shown} on the restored data, not 1")


def prove(plan: dict[str, object]) -> dict[str, object]:
    """Examine the restored data and return what was found. Raises DrillFault, OSError, Terminated."""
    server = Private(Path(str(plan["scratch"])), float(str(plan["patience"])))
    missing = furnish(server, plan)
    server.tame = True
    same_series(server.program, made_by(server.data))
    links = [str(path.relative_to(server.data)) for path in server.data.rglob("*.isl")]
    if links:
        raise DrillFault(f"{links[0]} names a file of the live server: the drill must not go on")
    queries = plan["verify"]
    assert isinstance(queries, list)
    tell("starts a server on the restored data")
    try:
        rolled_back = begin(server)
        seconds = time.time() - float(str(plan["began"]))
        size = sum(file.lstat().st_blocks * 512 for file in server.data.rglob("*"))
        position = server.ask(SLAVE_POSITION).stdout.strip()
        server.disarm()
        expected = parse(plan.get("tables"))
        require(server.data, expected)
        find_lost(server, expected.discarded if expected else ())
        with understood(missing):
            tables, remarks = check_tables(server, empty(server, expected))
            remarks += [*rolled_back, *without(missing)]
            verify(server, [str(query) for query in queries])
        outside = server.opened_outside()
        if outside:
            raise DrillFault(f"the server on the restored data opened {outside[0]}, which is not of the drill")
    finally:
        server.end()
    walls = json.loads(os.environ.get(WALLS) or "[]")
    found = {"tables": tables, "bytes": size, "remarks": remarks, "walls": walls, "position": position}
    return {"restore_seconds": round(seconds, 1), **found}


def ready(plan: dict[str, object]) -> dict[str, object]:
    """Find out beforehand whether a server could start in the drill's directory. Raises DrillFault."""
    scratch = Path(str(plan["scratch"]))
    program(CLIENT, "mariadb-client")
    server = program(SERVER, "mariadb-server")
    if plan.get("version"):
        same_series(server, str(plan["version"]))
    give_away(scratch)
    try:
        subprocess.run(
            (server, "--no-defaults", "--version"), cwd="/", env=clean_environment(), preexec_fn=ordinary(scratch),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    except subprocess.SubprocessError:
        raise DrillFault(
            f"the user {ORDINARY}, as whom the server is to run, cannot work in {scratch.parent}",
            "name a folder that everybody may pass through: --scratch",
        ) from None
    return {}


def made_by(data: Path) -> str:
    """Return the version of the server that was saved, as mariadb-backup wrote it down."""
    infos = [file for name in ("xtrabackup_info", "mariadb_backup_info") for file in data.glob(name)]
    return str(re.findall(r"^server_version = (.*)$", infos[0].read_text(errors="replace"), re.MULTILINE)[0])


def same_series(server: str, version: str) -> None:
    """Raise DrillFault unless the server program is of the release series of a version."""
    said = subprocess.run(
        (server, "--no-defaults", "--version"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    ).stdout.decode(errors="replace")
    made = series(version)
    if series(said) != made:
        raise DrillFault(
            f"the backup is of MariaDB {made}, the server program there is of {series(said)}",
            f"drill where MariaDB {made} is installed",
        )


def text(cell: str) -> str:
    """Return a name that came as HEX()."""
    return bytes.fromhex(cell).decode()


def quoted(name: str) -> str:
    """Return an identifier of SQL."""
    return "`" + name.replace("`", "``") + "`"


def printable(name: str) -> str:
    """Return a name for a person: as it is, or quoted where a dot or a line break in it would mislead."""
    return quoted(name) if re.search(r"[.`\s]", name) else name


def last(lines: str) -> str:
    """Return the last line."""
    return lines.strip().splitlines()[-1] if lines.strip() else "no message"


def tell(what: str) -> None:
    """Say what is being done now."""
    sys.stderr.write(f"drill: {what}\n")
    sys.stderr.flush()


def terminate(*_: object) -> None:
    """Handle a signal: end the server, once."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    raise Terminated("interrupted")


def main() -> int:
    """Do what the first argument says by the plan in the second; the exit code."""
    for number in SIGNALS:
        signal.signal(number, terminate)
    plan = json.loads(sys.argv[2])
    try:
        found = ready(plan) if sys.argv[1] == "ready" else prove(plan)
    except DrillFault as fault:
        print(json.dumps({"fault": str(fault), "remedy": fault.remedy}))
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        print(json.dumps({"fault": f"the drill cannot work in {plan['scratch']}: {error}", "remedy": ""}))
        return 1
    if found:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
