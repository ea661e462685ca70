"""Restores a dump of `mysql_dump.sh` into a private MariaDB server and looks into it. Runs on a host, behind walls.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `scratch`, a private folder; `verify`, queries that must each answer 1; `patience`, seconds that
the load may take.

The dump is loaded by an account that has rights in the dump's own databases alone, by a client that runs no commands of
its own and sends no files.

Standard output is one line of JSON: `fault`, `remedy` and `unable`, whether it is this machine that lacks something; or
`said`; `walls`, those behind which it ran. Standard library only, Python 3.8 and later, except `private_server` and its
imports, which are sent along.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.host.ordinary_user import DrillFault, clean_environment, give_away, ordinary, program
from tasks.mariadb.host.private_server import ASKER, Private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls
STARTING = 120.0  # seconds
DATABASES, TABLE, CHANGED = b"-- cloudbackup databases: ", b"-- cloudbackup table: ", b"-- cloudbackup changed: "
TAIL = 4096  # last bytes in which CHANGED is looked for
LOADER = "cloudbackup_load"
OWN = ("mysql", "sys", "information_schema", "performance_schema")
IN_A_DATABASE = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES,"
    " EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, DELETE HISTORY"
)
# What MySQL's or a later server's dump needs and a MariaDB server may lack: that says nothing about the dump.
LACKING = re.compile(r"Unknown (collation|character set|storage engine)|Plugin '[^']*' is not loaded")
NAMED = 5  # names in a message
LARGE = ("--max-allowed-packet=1G", "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4")
# A view or routine works only if the account that defined it is there.
DEFINERS = (
    "SELECT DISTINCT HEX(DEFINER) FROM (SELECT DEFINER FROM information_schema.VIEWS UNION"
    " SELECT DEFINER FROM information_schema.ROUTINES) AS d WHERE DEFINER NOT LIKE 'cloudbackup%' AND DEFINER <> ''"
    " AND DEFINER NOT LIKE 'mariadb.sys@%' AND DEFINER NOT LIKE 'root@%'"
)


def main() -> None:
    """Judge the dump of the plan in the first argument."""
    plan = json.loads(sys.argv[1])
    try:
        found: dict[str, object] = {"said": [judge(plan)]}
    except DrillFault as fault:
        found = {"fault": str(fault)[:1500], "remedy": fault.remedy, "unable": bool(LACKING.search(str(fault)))}
    except OSError as error:
        found = {"fault": f"the drill cannot work in {plan['scratch']}: {error}", "remedy": ""}
    print(json.dumps({**found, "walls": json.loads(os.environ.get(WALLS) or "[]")}))


def judge(plan: dict[str, object]) -> str:
    """Return what was found in a dump that is good. Raises DrillFault, OSError."""
    dump, scratch = Path(str(plan["file"])), Path(str(plan["scratch"]))
    databases, expected = listed(dump)
    server = Private(scratch, STARTING, more=LARGE)
    install(server)
    server.start()
    try:
        load(server, dump, databases, float(str(plan["patience"])))
        server.disarm()
        tables, rows = read_all(server, databases, expected)
        queries = plan["verify"]
        assert isinstance(queries, list)
        if queries:
            make_definers(server)
        for query in queries:
            require_one(server, str(query))
        asked = f", {len(queries)} quer{'y' if len(queries) == 1 else 'ies'} answered" if queries else ""
        count = "1 table" if tables == 1 else f"{tables} tables"
        return f"a private MariaDB {version(server)} restored {count} with {rows:,} rows{asked}"
    finally:
        server.end()


def listed(dump: Path) -> tuple[list[str], set[str]]:
    """Return the databases of a dump, and the tables and views that must be in it. Raises DrillFault."""
    expected = set()
    with dump.open("rb") as lines:
        first = lines.readline(1 << 20)
        if not re.fullmatch(rb"(?: [0-9A-Fa-f]+)+\n", first[len(DATABASES) - 1 :]) or not first.startswith(DATABASES):
            raise DrillFault("the dump does not begin with the names of its databases")
        databases = [name_of(each) for each in first[len(DATABASES) :].split()]
        for line in lines:
            if not line.startswith(TABLE):
                break
            expected.add(table_of(line[len(TABLE) :].strip()))
        lines.seek(max(dump.stat().st_size - TAIL, 0))
        last = lines.read().rstrip(b"\n").rpartition(b"\n")[2]
    if own := [name for name in databases if name.lower() in OWN or "\0" in name]:
        raise DrillFault(f"the dump is of {own[0]}, a database of the server's own")
    if not last.startswith(CHANGED.rstrip()):
        raise DrillFault("the dump is cut short: it lacks its last line")
    changed = last[len(CHANGED) :].split()
    return databases, set() if changed == [b"all"] else expected - set(map(table_of, changed))


def name_of(digits: bytes) -> str:
    """Return a name from hexadecimal digits. Raises DrillFault."""
    try:
        return bytes.fromhex(digits.decode("ascii")).decode()
    except ValueError:
        raise DrillFault(f"the dump has a name that cannot be read: {digits[:80]!r}") from None


def table_of(digits: bytes) -> str:
    """Return a table as `database.table`. Raises DrillFault."""
    return ".".join(map(name_of, digits.split(b".")))


def install(server: Private) -> None:
    """Make an empty data directory. Raises DrillFault."""
    server.data.mkdir(mode=0o700)
    temporary = server.data.parent / "install"
    temporary.mkdir(mode=0o700)
    for folder in (server.data, temporary):
        give_away(folder)
    words = [
        program(("mariadb-install-db", "mysql_install_db"), "mariadb-server"), "--no-defaults",
        f"--datadir={server.data}", f"--tmpdir={temporary}", "--auth-root-authentication-method=normal",
        "--skip-test-db", "--force",  # without asking for the own name, which no network knows
    ]  # fmt: skip
    done = subprocess.run(
        words, cwd=server.data, env=clean_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise DrillFault(f"a private MariaDB cannot be made: {telling(done.stdout + done.stderr)}")
    (server.data / "backup-my.cnf").touch()  # a data directory of mariadb-backup has one, with what its files need


def load(server: Private, dump: Path, databases: list[str], patience: float) -> None:
    """Load the dump. Raises DrillFault."""
    rights = "".join(f"GRANT {IN_A_DATABASE} ON {pattern(name)}.* TO {LOADER}@localhost;\n" for name in databases)
    require(server.ask(
        f"CREATE USER {LOADER}@localhost IDENTIFIED BY '{server.password}';\n"
        f"GRANT SET USER ON *.* TO {LOADER}@localhost;\n{rights}"
    ), "the account that loads it cannot be made")  # fmt: skip
    with dump.open("rb") as content, (server.run / "load-errors").open("w+b") as errors:
        words = [*server.client_words(LOADER), "--max-allowed-packet=1G"]
        try:
            code = subprocess.run(
                words, cwd=server.run, env=server.client_environment(), preexec_fn=ordinary(), stdin=content,
                stdout=subprocess.DEVNULL, stderr=errors, timeout=patience, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DrillFault(f"it was not loaded in {patience:.0f} s") from None
        errors.seek(0)
        said = last_line(errors.read(1 << 20))
    if code:
        raise DrillFault(f"a private MariaDB {version(server)} does not take it: {said}")


def read_all(server: Private, databases: list[str], expected: set[str]) -> tuple[int, int]:
    """Read every table; return how many tables and rows there are. Raises DrillFault, also if an expected one lacks."""
    names = ", ".join(f"'{name.encode().hex().upper()}'" for name in databases)
    query = (
        "SELECT CONCAT(HEX(TABLE_SCHEMA), '.', HEX(TABLE_NAME), ' ', TABLE_TYPE) FROM information_schema.TABLES"  # noqa: S608 (hexadecimal digits)
        f" WHERE HEX(TABLE_SCHEMA) IN ({names})"
    )
    lines = [line.split(" ", 1) for line in require(server.ask(query), "its tables cannot be listed").splitlines()]
    there = {table_of(digits.encode()) for digits, _ in lines}
    if gone := sorted(expected - there):
        more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
        raise DrillFault(f"tables that the server had are not in the dump: {', '.join(gone[:NAMED])}{more}")
    tables = [list(map(name_of, digits.encode().split(b"."))) for digits, kind in lines if "VIEW" not in kind]
    return len(tables), sum(counted(server, tables))


def counted(server: Private, tables: Iterable[list[str]]) -> Iterator[int]:
    """Yield the number of rows of each table. Raises DrillFault."""
    for database, table in tables:
        said = server.ask(f"SELECT COUNT(*) FROM {quoted(database)}.{quoted(table)}", ASKER)  # noqa: S608 (quoted)
        yield int(require(said, f"{database}.{table} cannot be read").strip() or 0)


def make_definers(server: Private) -> None:
    """Make the accounts that defined views and routines, locked, so that queries may use these. Raises DrillFault."""
    for digits in require(server.ask(DEFINERS), "the definers cannot be listed").split():
        user, _, host = bytes.fromhex(digits).decode(errors="replace").rpartition("@")
        account = f"{text(user)}@{text(host)}"
        require(
            server.ask(
                f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n"
                f"GRANT SELECT, EXECUTE, SHOW VIEW ON *.* TO {account};\n"
            ),
            f"the definer {user}@{host} cannot be made",
        )


def require_one(server: Private, query: str) -> None:
    """Raise DrillFault unless a query answers 1."""
    answer = require(server.ask(query, ASKER), f"`{query}` fails on the restored data").strip("\n")
    if answer != "1":
        shown = " ".join(answer.split())[:80] or "nothing"
        raise DrillFault(f"`{query}` answers {shown} on the restored data, not 1")


def require(done: subprocess.CompletedProcess[str], what: str) -> str:
    """Return what the client printed. Raises DrillFault if it failed."""
    if done.returncode:
        raise DrillFault(f"{what}: {last_line(done.stderr.encode())}")
    return done.stdout


def version(server: Private) -> str:
    """Return the server's version."""
    return server.ask("SELECT VERSION()").stdout.strip().partition("-")[0]


def quoted(name: str) -> str:
    """Return a name in backquotes."""
    return "`{}`".format(name.replace("`", "``"))


def pattern(name: str) -> str:
    """Return a name as GRANT reads it, in which `_` and `%` stand for others."""
    return quoted(re.sub(r"([\\_%])", r"\\\1", name))


def text(value: str) -> str:
    """Return a text in quotes."""
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "''"))


def telling(said: bytes) -> str:
    """Return the first line of what mariadb-install-db wrote that tells of a fault."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\[error\]|fatal|can.?t|cannot|denied", line, re.IGNORECASE)]
    return (errors or lines or ["it does not say why"])[0][-500:]


def last_line(said: bytes) -> str:
    """Return the last line that a program wrote."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][-500:] if lines else "it does not say why"


if __name__ == "__main__":
    main()
