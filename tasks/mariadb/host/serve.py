"""Serves a restored and prepared data directory by a private server, to be asked or dumped. Runs alone on the host.

    python3 -c "$SERVE" ready JSON      before anything is restored: could a server start at all?
    python3 -c "$SERVE" open JSON       serve until `seconds` have passed or this program is ended
    python3 -c "$SERVE" query JSON      ask `query`, as JSON lines: the columns, and each row
    python3 -c "$SERVE" dump JSON       run mariadb-dump with each list of words in `dumps`
    python3 -c "$SERVE" tables JSON     dump the table `table`, or all, of `database` alone, and tell their `digests`
    python3 -c "$SERVE" csv JSON        the rows of `query`, which is of `table` in `database`, as CSV

JSON: `scratch`, a directory of our own, whose `data` is the data directory; `patience`, seconds for the server to
answer; `version` of the saved server, if known; `settings`, `zone` and `plugins` (see `settings`); `events`, whether
scheduled events are to be seen; `grants`, whether a dump ends with the accounts and their rights. CLOUDBACKUP_PRIVATE
is the password of the read-only account, if one is set.

Standard output has nothing but what was asked for. The last line of standard error is `cloudbackup outcome` and JSON:
`fault` and `remedy`, or `version`, `walls`, `remarks` and what the job found. Standard library only, Python 3.8 and
later, except `digest`, `protocol`, `examine` and its imports, which are sent along.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.host.check_table import last, unproven
from tasks.mariadb.host.digest import columns_query, digest_query, relations
from tasks.mariadb.host.elsewhere import elsewhere, options, require_here
from tasks.mariadb.host.examine import (
    SIGNALS,
    WALLS,
    Terminated,
    made_by,
    ready,
    refuse_links,
    refuse_outside,
    same_series,
    terminate,
)
from tasks.mariadb.host.grants import dumped, given_back, noted
from tasks.mariadb.host.ordinary_user import DrillFault, ordinary, program
from tasks.mariadb.host.private_server import ASKER, Private
from tasks.mariadb.host.protocol import Connection, Refused
from tasks.mariadb.host.settings import begin, furnish, understood, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.mariadb.host.protocol import Column, Value

DUMP = ("mariadb-dump", "mysqldump")
PASSWORD = "CLOUDBACKUP_PRIVATE"  # noqa: S105 (a variable's name)
OPEN = "cloudbackup open"  # line on standard output once the server answers
OUTCOME = "cloudbackup outcome\t"
LARGEST = 32 << 20  # bytes of the answer to a query, which the other side keeps in memory
# It is asked by one person, and its data is discarded.
SMALL = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=0",
    "--max-connections=20",
    "--max-allowed-packet=1G",
)
ALONE = (
    "--compact",
    "--skip-no-autocommit",  # on since MariaDB 11.8; it sets variables around the rows
    "--skip-lock-tables",
    "--skip-triggers",
    "--quick",
    "--hex-blob",
    "--default-character-set=utf8mb4",
)
KINDS = ("BASE TABLE", "SYSTEM VERSIONED")
TO_DUMP = "SELECT, EXECUTE, SHOW VIEW, SHOW DATABASES, TRIGGER, EVENT, LOCK TABLES"


def started(plan: Mapping[str, object]) -> tuple[Private, list[str]]:
    """Return a private server on the data, whose accounts have lost their rights, and remarks. Raises DrillFault."""
    server = Private(Path(str(plan["scratch"])), float(str(plan["patience"])), more=SMALL)
    missing = furnish(server, dict(plan))
    server.tame = not plan.get("events")
    server.password = os.environ.get(PASSWORD) or server.password
    same_series(server.program, made_by(server.data))
    refuse_links(server.data)
    tell("starts a private server")
    try:
        with understood(missing):
            said = begin(server)
        server.rights = noted(server) if plan.get("grants") else []
        server.disarm()
        refuse_outside(server)
        behind = f"behind walls ({', '.join(walls())})" if walls() else "without walls"
        tell(f"a private MariaDB {made_by(server.data)} serves it, {behind}")
    except BaseException:
        server.end()
        raise
    return server, [*said, *without(missing), *unproven(asked_for(plan, elsewhere(server)))]


def asked_for(plan: Mapping[str, object], rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows of what a job concerns."""
    return [row for row in rows if plan.get("database") in (None, row[0]) and plan.get("table") in (None, row[1])]


def serve(server: Private, plan: Mapping[str, object]) -> None:
    """Wait until the time has passed. Raises DrillFault if the server ends first, Terminated."""
    print(OPEN, flush=True)
    assert server.process is not None
    try:
        server.process.wait(float(str(plan["seconds"])))
    except (subprocess.TimeoutExpired, Terminated):
        return
    raise DrillFault(f"the private server ended: {server.complaint()}")


def query(server: Private, plan: Mapping[str, object]) -> None:
    """Print the columns and rows of a query's one result as JSON lines. Raises DrillFault."""
    written = 0
    for number, (columns, rows) in enumerate(_asked(server, str(plan["query"]))):
        if number:
            raise DrillFault("the query gives more than one result", "ask for one")
        print(json.dumps(columns))
        for row in rows:
            line = json.dumps(row)
            written += len(line)
            if written > LARGEST:
                raise DrillFault(
                    f"the answer is larger than {LARGEST >> 20} MiB",
                    "narrow it (LIMIT), or write a table to a file: `inv mariadb.dump`, with --format csv",
                )
            print(line)
    sys.stdout.flush()


def write_csv(server: Private, plan: Mapping[str, object]) -> None:
    """Write the rows of a query as CSV (RFC 4180, but for its line ends), names first. Raises DrillFault."""
    require_here(elsewhere(server), str(plan["database"]), [str(plan["table"])])
    with io.TextIOWrapper(os.fdopen(os.dup(1), "wb", 1 << 20), "utf-8", newline="") as stream:
        for columns, rows in _asked(server, str(plan["query"])):
            stream.write(csv_line([column.name for column in columns]))
            for row in rows:
                stream.write(csv_line(row))


def csv_line(row: Sequence[object]) -> str:
    """Return a line of CSV: NULL is an empty cell, an empty text is `""`."""
    return ",".join("" if cell is None else _quoted(str(cell)) for cell in row) + "\n"


def _quoted(text: str) -> str:
    if text and not any(mark in text for mark in ',"\r\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _asked(server: Private, statement: str) -> Iterator[tuple[list[Column], Iterator[list[Value]]]]:
    os.chdir(str(server.run))  # the socket's whole path may be too long
    try:
        connection = Connection("s", ASKER, server.password)
        yield from connection.ask(statement)
    except Refused as refusal:
        raise DrillFault(
            f"the private server refuses it: {refusal}", "its account may read, and change nothing"
        ) from None


def dump(server: Private, plan: Mapping[str, object]) -> None:
    """Run mariadb-dump on standard output, several times if so planned. Raises DrillFault."""
    done = server.ask(f"GRANT {TO_DUMP} ON *.* TO {ASKER}@localhost")
    if done.returncode != 0:
        raise DrillFault(f"the account that dumps cannot be made: {last(done.stderr)}")
    tool = program(DUMP, "mariadb-client")
    own = ["--no-defaults", "--protocol=socket", "--socket=s", f"--user={ASKER}", "--max-allowed-packet=1G"]
    dumps, others = plan["dumps"], elsewhere(server)
    assert isinstance(dumps, list)
    for planned in dumps:
        words = [*options(server, others), *chosen(server, list(map(str, planned)), others)]
        with (server.run / "dump-errors").open("w+b") as errors:
            code = subprocess.run(
                [tool, *own, *words], cwd=server.run, env=server.client_environment(),
                preexec_fn=ordinary(), stdin=subprocess.DEVNULL, stderr=errors, check=False,
            ).returncode  # fmt: skip
            errors.seek(0)
            complaint = last(errors.read().decode(errors="replace"))
        if code != 0:
            raise DrillFault(f"mariadb-dump ended with exit code {code}: {complaint}")
    if plan.get("grants"):
        given_back(server, server.rights)
        sys.stdout.buffer.write(dumped(server, [tool, *own]).encode())
        sys.stdout.flush()


def chosen(server: Private, planned: list[str], others: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the planned words of mariadb-dump, with all databases if none is named. Raises DrillFault."""
    if planned[-1] == "--databases":
        return [*planned, *databases(server)]
    if "--no-data" not in planned:
        database, *tables = planned[planned.index("--") + 1 :]
        require_here(others, database, tables)
    return planned


def dump_tables(server: Private, plan: Mapping[str, object]) -> Mapping[str, object]:
    """Dump tables with their rows; return their digests, and what else is in the database. Raises DrillFault."""
    database, wanted = str(plan["database"]), plan.get("table")
    said = server.ask(relations(database))
    kinds = {name: kind for kind, name in (bytes.fromhex(line).decode().split("\n") for line in said.stdout.split())}
    others = elsewhere(server)
    require_here(others, database, [str(wanted)])
    kinds = {name: kind for name, kind in kinds.items() if (database, name) not in {row[:2] for row in others}}
    tables = [name for name, kind in kinds.items() if kind in KINDS and wanted in (None, name)]
    if not tables:
        what = f"{database} has no table {wanted}" if wanted else f"there is no table in {database}"
        raise DrillFault(f"{what} in this backup", "`inv mariadb.open` shows what it has; --archive takes another one")
    digests = {name: digest(server, database, name) for name in tables}
    dump(server, {"dumps": [[*ALONE, "--", database, *tables]]})
    return {"digests": digests, "others": [] if wanted else [name for name in kinds if name not in tables]}


def digest(server: Private, database: str, table: str) -> str:
    """Return the digest of a table's rows. Raises DrillFault."""
    rows = server.ask(columns_query(database, table)).stdout.split()
    done = server.ask(digest_query(database, table, [bytes.fromhex(row).decode() for row in rows]))
    if done.returncode != 0:
        raise DrillFault(f"{database}.{table} cannot be read: {last(done.stderr)}")
    return "-".join(done.stdout.split())


def databases(server: Private) -> list[str]:
    """Return the names of all databases but the server's own. Raises DrillFault if there are none."""
    said = server.ask(
        "SELECT HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN"
        " ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY SCHEMA_NAME"
    )
    found = [bytes.fromhex(line).decode() for line in said.stdout.split()]
    if not found:
        raise DrillFault("there is no database in the backup but the server's own")
    return found


def tell(what: str) -> None:
    """Print the current step."""
    sys.stderr.write(f"open: {what}\n")
    sys.stderr.flush()


JOBS: Mapping[str, Callable[[Private, Mapping[str, object]], Mapping[str, object] | None]] = {
    "open": serve,
    "query": query,
    "dump": dump,
    "tables": dump_tables,
    "csv": write_csv,
}


def done(job: str, plan: dict[str, object]) -> dict[str, object]:
    """Do a job; return its outcome. Raises DrillFault, OSError, Terminated."""
    if job == "ready":
        try:
            return ready(plan)
        except DrillFault as fault:
            raise DrillFault(str(fault), fault.remedy.replace("or drill with", "or for `mariadb.open`")) from None
    server, remarks = started(plan)
    try:
        found = JOBS[job](server, plan) or {}
    finally:
        server.end()
    return {"version": made_by(server.data), "walls": walls(), "remarks": remarks, **found}


def walls() -> list[str]:
    """Return the walls around this program."""
    return list(json.loads(os.environ.get(WALLS) or "[]"))


def main() -> int:
    """Run the command in the first argument with the plan in the second; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, terminate)
    plan, code = json.loads(sys.argv[2]), 0
    try:
        found = done(sys.argv[1], plan)
    except DrillFault as fault:
        found, code = {"fault": str(fault), "remedy": fault.remedy}, 1
    except BrokenPipeError:
        found, code = {"fault": "its reader is gone", "remedy": ""}, 1
    except (OSError, subprocess.SubprocessError) as error:
        found, code = {"fault": f"the private server cannot work in {plan['scratch']}: {error}", "remedy": ""}, 1
    sys.stderr.write(f"{OUTCOME}{json.dumps(found)}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
