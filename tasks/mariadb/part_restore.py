"""Restores a database, or one table of it, of any backup beside the live data: into another database of the server.

    private server -> mariadb-dump -> host/vetted_dump.py -> the live server's client

The dump is not trusted: only tables and rows come through. The live server goes on, and nothing of its own is touched
but by `--missing-rows` and `--replace`. If anything fails, what was made is dropped again.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from tasks.answers import Answer, AnswerError, Count, Text, read
from tasks.borg.choice import Choices
from tasks.errors import RefusedError, UsageError
from tasks.mariadb import archive_parts, archive_restore, errors, mariadb_source, recovery_plan, unpack
from tasks.mariadb.access import CLIENT, Access
from tasks.mariadb.archive_restore import Chosen
from tasks.mariadb.archive_server import ArchiveServer, Job, Served
from tasks.mariadb.host import digest, vetted_dump
from tasks.mariadb.sql_dump import parsed, plain
from tasks.mariadb.table_diff import TableDiff
from tasks.mariadb.table_swap import REMAINS, TableSwap, remains
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Environment, Script, quote
from tasks.run.outcome import Status
from tasks.sources.base import Destination, Part, Planned, Restored
from tasks.units import many

VETTED = Program(vetted_dump)
OPTIONS = (
    *("--batch", "--skip-column-names", "--binary-mode", "--skip-local-infile", "--default-character-set=utf8mb4"),
    "--skip-force",  # of an option file: errors would be passed over
)
SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
NAMED = 5  # names in a message
LONGEST = 64  # characters of a database's name
Then = Literal["keep", "diff", "missing", "replace"]  # what becomes of the copy
NEEDED = "the account needs rights there, run on the server"
ACCOUNT = re.compile(r"user ('[^'\\\s]*'@'[^'\\\s]*')")  # in the server's messages 1044 and 1142


@dataclass(frozen=True)
class Names:
    """What is restored: a database, or one table of it, into the database `into`."""

    database: str
    table: str | None
    into: str
    then: Then = "keep"

    @property
    def shown(self) -> str:
        """Describe what is restored."""
        return f"{self.database}.{self.table}" if self.table else self.database

    @property
    def part(self) -> archive_parts.Part:
        """What is needed of an archive."""
        return archive_parts.Part(self.database, (self.table,) if self.table else ())

    @property
    def way(self) -> str:
        """Describe where it goes."""
        ways = {
            "keep": f"{self.shown} into the database {self.into}",
            "diff": f"{self.shown} into {self.into}, to compare it and drop it again",
            "missing": f"the rows that are gone from {self.shown} back into it",
            "replace": f"{self.shown} into its place, the live table kept under another name",
        }
        return ways[self.then]

    @property
    def asks(self) -> bool:
        """Whether a person must agree: the live table changes."""
        return self.then in ("missing", "replace")


class Vetted(Answer):
    """What `host/vetted_dump.py` prints."""

    fault: Text | None = None
    rows: dict[Text, Count] = {}  # noqa: RUF012 (pydantic copies it)
    keys: Count = 0


def plan(choices: Choices, archive: str, at: datetime | None, part: Part) -> Planned:
    """Plan the restore of a part of an archive. Raises UsageError, RefusedError, DatabaseError, HostError."""
    names = names_of(part)
    live = reached(names, choices.repository.host, mariadb_source.access(part.on or choices.app))
    found = archive_restore.chosen(choices, archive, at)
    to = found.moment.at if found.moment else None
    work = partial(_carry_out, found, names, live)
    return Planned(found.archive, work, found.choice, to, beside=names.way, asks=names.asks)


def names_of(part: Part) -> Names:
    """Return what is to be restored. Raises UsageError."""
    if part.table and part.database:
        raise UsageError("--table and --database name two things", "give one of them")
    database, table = parsed(part.table) if part.table else (plain(part.database), None)
    into = plain(part.into) if part.into else f"{database}_restored"
    if database in SYSTEM or into in SYSTEM:
        raise UsageError(f"{database if database in SYSTEM else into} is the server's own database")
    if into == database and part.on is None:
        raise UsageError(f"{into} is where the live data is", "name another database: --into")
    if len(into) > LONGEST or into.endswith(" "):
        raise UsageError(f"a database cannot be named {into}", "name another one: --into")
    return Names(database, table, into, _then(part))


def _then(part: Part) -> Then:
    """Return what becomes of the copy. Raises UsageError."""
    ways: dict[Then, bool] = {"diff": part.diff, "missing": part.missing_rows, "replace": part.replace}
    given = [way for way, asked in ways.items() if asked]
    if len(given) > 1:
        raise UsageError("--diff, --missing-rows and --replace are different things", "give one of them")
    if given == ["replace"] and not part.table:
        raise UsageError(
            "--replace is of one table: the tables of a database cannot all be exchanged at one moment",
            "give --table DATABASE.TABLE, or restore the database beside and rename what you need",
        )
    if given and not part.table:
        raise UsageError("--diff and --missing-rows are of one table", "give --table DATABASE.TABLE")
    return given[0] if given else "keep"


class Live:
    """The live server, of which only the database `into` is changed; `databases` are others that are worked on."""

    def __init__(self, host: Host, access: Access, into: str, *databases: str) -> None:
        self.host, self.access, self.into, self.databases = host, access, into, databases

    def ask(self, statements: str) -> list[str]:
        """Run statements and return the lines of their answer. Raises DatabaseError."""
        command = self.access.command(CLIENT, OPTIONS, statements)
        output = self.host.run(Script(command, self.access.environment))
        if not output.ok:
            names = dict.fromkeys((self.into, *self.databases))
            remedy = f"{NEEDED}: {_grants(output.error_text, names)}" if "denied" in output.error_text else ""
            said = [line for line in output.error_text.splitlines() if line.startswith("ERROR")]
            why = said[0] if said else output.error_text.strip()
            raise errors.DatabaseError(f"{self.host.name}: the server refuses it: {why}", remedy)
        return output.text.splitlines()

    def require_new(self) -> None:
        """Raise RefusedError if the database is there.

        One without tables may hold routines, which this account need not see, and what was made is dropped again.
        """
        schemata = f"SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {digest.text(self.into)}"  # noqa: S608
        if self.ask(schemata) != ["0"]:
            raise RefusedError(
                f"{self.host.name}: the database {self.into} is there already",
                "name a new one (--into), or drop it if you no longer need it",
            )

    def make(self) -> None:
        """Create the database. Raises DatabaseError, also if it is there: it is not ours then."""
        self.ask(f"CREATE DATABASE {digest.name(self.into)};")

    def undo(self) -> str:
        """Return bash that drops the database that was made."""
        return self.access.command(CLIENT, OPTIONS, f"DROP DATABASE IF EXISTS {digest.name(self.into)};")

    def digest(self, table: str) -> str:
        """Return the digest of a restored table."""
        columns = [bytes.fromhex(line).decode() for line in self.ask(digest.columns_query(self.into, table))]
        return "-".join(self.ask(digest.digest_query(self.into, table, columns))[0].split())


def reached(names: Names, host: Host, access: Access) -> Live:
    """Return the live server, after a look at whether it can be done there. Raises RefusedError, DatabaseError."""
    live = Live(host, access, names.into, *(() if names.then == "keep" else (names.database,)))
    live.require_new()
    if names.then == "replace":
        _swap(names, live)  # refuses what cannot be swapped
    return live


def _grants(refusal: str, databases: Iterable[str]) -> str:
    """Return the statements that give the refused account its rights in some databases."""
    account = found[1] if (found := ACCOUNT.search(refusal)) else "the account in the inventory"
    return " ".join(f"GRANT ALL PRIVILEGES ON {digest.name(each)}.* TO {account};" for each in databases)


def _carry_out(chosen: Chosen, names: Names, live: Live, to: Destination) -> Restored:
    request = chosen.request(trust=to.trusted, beside=live.access.database, part=names.part)
    live.require_new()
    live.make()
    server = ArchiveServer(live.host, request, _job(names, live))
    try:
        served = server.run(chosen.choices.repository.time_limit, to.step)
    except unpack.ContentError as error:
        raise mariadb_source.unread(chosen.choices.app, error) from error
    vetted = vetted_of(served.output.error_text)
    to.step("compares the rows")
    wrong = [table for table, there in served.digests.items() if live.digest(table) != there]
    if wrong or set(served.digests) != set(vetted.rows):
        live.host.run(Script(live.undo(), live.access.environment))
        raise errors.DatabaseError(
            f"{live.host.name}: rows of {', '.join(wrong[:NAMED]) or names.shown} are not those of the backup",
            f"{names.into} was dropped again; look at them by `inv mariadb.open`",
        )
    status, lines = settled(names, live, _said(names, served, vetted))
    return Restored(request.size or 0, (*lines, request.read, *_moment(chosen, served)), status, served.walls)


def settled(names: Names, live: Live, said: list[str]) -> tuple[Status, list[str]]:
    """Do with the loaded copy what was asked for; return the status and lines for people, `said` if it stays."""
    if names.then == "keep":
        return "ok", said
    return (_replaced if names.then == "replace" else _compared)(names, live)


def _compared(names: Names, live: Live) -> tuple[Status, list[str]]:
    """Compare the live table with its copy, put missing rows back if asked to, and drop the copy."""
    assert names.table is not None
    try:
        compared = TableDiff(live.ask, names.database, names.table, names.into)
        before = compared.difference()
        lines = [f"{names.shown}: {before.shown}"]
        if names.then == "diff":
            return "ok", lines
        count, after = compared.put_back(), compared.difference()
        lines.append(f"{many(count, 'row')} put back; now {after.shown}")
        if after.gone or after.changed > before.changed:
            lines.append(
                "not all that was put back is as in the backup: a trigger of the live table changed it, or a client"
            )
            return "warning", lines
        return "ok", lines
    finally:
        live.host.run(Script(live.undo(), live.access.environment))


def _swap(names: Names, live: Live) -> TableSwap:
    """Return the swap of the table, not begun. Raises RefusedError, DatabaseError."""
    assert names.table is not None
    return TableSwap(live.ask, names.database, names.table, names.into)


def _replaced(names: Names, live: Live) -> tuple[Status, list[str]]:
    """Put the copy in the place of the live table, which is kept, and drop what is left of the copy."""
    assert names.table is not None
    try:
        swap = _swap(names, live)
        try:
            unlike = [f"until now: {TableDiff(live.ask, names.database, names.table, names.into).difference().shown}"]
        except RefusedError:  # without a key, or with other columns
            unlike = []
        done = swap.run()
    finally:
        live.host.run(Script(live.undo(), live.access.environment))
    left = [f"{what}; {remedy}" for what, remedy in remains(live.ask(REMAINS))]
    lines = [f"{names.shown} is as in the backup, compared with it", *unlike, *done.said, *done.remarks, *left]
    return "warning" if done.remarks or left else "ok", lines


def loading(names: Names, live: Live) -> tuple[str, Environment]:
    """Return bash that loads what is let through of a dump on its standard input, and the environment that it needs."""
    vet = quote((*VETTED.words, json.dumps({"into": names.into, "only": names.table})))
    load = live.access.fed(CLIENT, (*OPTIONS, "--max-allowed-packet=1G"))
    return f"{vet} | ( {load} )", {**live.access.environment, **VETTED.environment}


def _job(names: Names, live: Live) -> Job:
    behind, environment = loading(names, live)
    tables = {"database": names.database, "table": names.table}
    return Job("tables", tables, behind=behind, environment=environment, undo=live.undo())


def vetted_of(said: str) -> Vetted:
    """Return what `host/vetted_dump.py` wrote on standard error; an empty one if it did not."""
    last = [line.removeprefix(vetted_dump.VETTED) for line in said.splitlines() if line.startswith(vetted_dump.VETTED)]
    try:
        return read(Vetted, last[-1])
    except (AnswerError, IndexError):
        return Vetted()


def said_of(names: Names, vetted: Vetted, how: str, others: Sequence[str] = ()) -> list[str]:
    """Return lines for people about a copy that stays; `how` it was checked, `others` are names that were left out."""
    tables, rows = many(len(vetted.rows), "table"), many(sum(vetted.rows.values()), "row")
    lines = [f"{names.shown} is in the database {names.into}: {tables}, {rows}, {how}"]
    if vetted.keys:
        lines.append(f"{many(vetted.keys, 'foreign key')} left out: they would tie the live tables to the copy")
    if others:
        lines.append(f"not tables, and left out: {_named(others)}; `inv mariadb.dump` writes their definitions")
    lines.append("triggers, routines and events are left out: code from an archive does not run on a live server")
    return lines


def _said(names: Names, served: Served, vetted: Vetted) -> list[str]:
    return said_of(names, vetted, "compared with the backup", served.others)


def _moment(chosen: Chosen, served: Served) -> list[str]:
    at = chosen.moment.at if chosen.moment else None
    moment = recovery_plan.told(served.recovered, chosen.archive.name, at) if served.recovered and at else []
    return [*moment, *served.unpacked.harm(), *served.remarks]


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
