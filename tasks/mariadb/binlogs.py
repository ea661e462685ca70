"""The server's binary logs, as the operator sees them: what is new, the stream to archive, and its report.

A binary log is identified by name, server and creation time: after a restore, names and GTIDs are reused. A chain of
binary logs is unbroken if each begins with the GTID state in which the one before ended.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from tasks import answers
from tasks.answers import LAST_SECOND, Answer, Count, Text, Unix
from tasks.mariadb import errors
from tasks.mariadb.access import CLIENT, Access
from tasks.mariadb.host import binlog_format, collect_binlogs
from tasks.mariadb.recoverable import REPLICATED
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, Stream, quote

PROGRAM = Program(collect_binlogs, (binlog_format,))
HEAD = 512  # bytes of a file that contain its Format_description event
# Variables that a statement in the binary log does not carry, but its replay needs.
KEPT = (
    "default_storage_engine",
    "explicit_defaults_for_timestamp",
    "innodb_default_row_format",
    "lower_case_table_names",
)
_MARK = "cloudbackup head"
_OPTIONS = ("--batch", "--skip-column-names", "--connect-timeout=20")
_ASKED = (
    "log_bin",
    "log_bin_basename",
    "encrypt_binlog",
    "gtid_binlog_state",
    "gtid_slave_pos",
    "log_slave_updates",
    *KEPT,
)
_NAMES = ", ".join(f"'{name}'" for name in _ASKED)
_ASK = f"SELECT UNIX_TIMESTAMP(); SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_NAMES})"
_ZONE = 'printf "%s\\n" "${TZ:-$(tail -n 1 /etc/localtime 2>/dev/null)}"'
_CLOSE = "SELECT UNIX_TIMESTAMP(); FLUSH LOCAL BINARY LOGS; SHOW BINARY LOGS"


class _Identity(Answer):
    name: Annotated[str, Field(pattern=f"^{binlog_format.NAME.pattern}$")]
    server: Count
    created: Unix


class _File(_Identity):
    start: Text
    end: Text
    fault: Text


class _Collected(Answer):
    """The answer of `host/collect_binlogs.py`."""

    until: Unix
    files: list[_File]


class _Saved(Answer):
    chain: _Identity
    last: _Identity
    state: Text
    until: Unix
    replicated: Text = ""


@dataclass(frozen=True)
class Identity:
    """Identifies a binary log: `created` is in seconds since 1970."""

    name: str
    server: int
    created: int

    @classmethod
    def parse(cls, values: object) -> "Identity | None":
        """Parse the result of `asdict`; None if it is invalid."""
        try:
            said = answers.typed(_Identity, values)
        except answers.AnswerError:
            return None
        return cls(said.name, said.server, said.created)

    @property
    def number(self) -> int:
        """Return the number in its name."""
        return int(self.name.rpartition(".")[2])


@dataclass(frozen=True)
class Saved:
    """The state of the archived binary logs, from a record.

    `chain` is the first log of the unbroken chain that ends in `last`, after which the GTID state was `state`;
    everything is archived up to `until`, by the server's clock. `replicated` is as in `unlogged`.
    """

    chain: Identity
    last: Identity
    state: str
    until: datetime
    replicated: str = ""

    @classmethod
    def parse(cls, values: object) -> "Saved | None":
        """Parse the result of `details`; None if it is invalid."""
        try:
            said = answers.typed(_Saved, values)
        except answers.AnswerError:
            return None
        chain, last = Identity.parse(said.chain.model_dump()), Identity.parse(said.last.model_dump())
        assert chain is not None
        assert last is not None
        return cls(chain, last, said.state, datetime.fromtimestamp(said.until, UTC), said.replicated)

    def details(self) -> dict[str, Any]:
        """Return it as details of a record."""
        chain, last = asdict(self.chain), asdict(self.last)
        found = {"chain": chain, "last": last, "state": self.state, "until": int(self.until.timestamp())}
        return {**found, **({REPLICATED: self.replicated} if self.replicated else {})}


@dataclass(frozen=True)
class Look:
    """The server's state before anything is done. `last` is the requested file, None if it is gone.

    `options` and `zone` are what a replay needs of the server: its variables, and its time zone as for TZ. `replicated`
    is as in `unlogged`.
    """

    now: datetime
    directory: str
    state: str
    last: Identity | None
    options: Mapping[str, str]
    zone: str
    replicated: str = ""

    def unchanged(self, saved: Saved) -> bool:
        """Return whether nothing was written since: same GTID state, and same binary logs.

        The state alone is not enough: a restored server reaches the same numbers with other transactions.
        """
        return self.last == saved.last and binlog_format.state(self.state) == binlog_format.state(saved.state)


def look(host: Host, access: Access, name: str | None = None) -> Look:
    """Query the server, and read the head of the binary log `name`. Changes nothing.

    Raises errors.DatabaseError if it does not answer or its binary logs cannot be archived; HostError.
    """
    client = access.command(CLIENT, _OPTIONS, _ASK)
    body = f"""\
answer=$({client})
printf '%s\\n' "$answer"
directory=$(printf '%s\\n' "$answer" | sed -n 's,^log_bin_basename\\t\\(.*\\)/[^/]*$,\\1,p')
printf 'zone\\t'; {quote(access.beside(_ZONE))} </dev/null
"""
    if name is not None:
        head = quote(access.beside(f'head -c {HEAD} -- "$1" 2>/dev/null | od -An -v -tx1'))
        body += f'echo {quote((_MARK,))}\n{head} "$directory"/{quote((name,))} </dev/null || :\n'
    output = host.run(Script(body, access.environment), timeout=60)
    if not output.ok:
        raise errors.error(output.error_text, f"{host.name}: cannot ask the database server")
    answer, _, head = output.text.partition(_MARK)
    rows = [line.split("\t") for line in answer.splitlines()]
    variables = {row[0]: row[1] for row in rows if len(row) == 2}
    _require(host, variables)
    now = answers.whole(rows[0][0])
    if now is None or now > LAST_SECOND or "gtid_binlog_state" not in variables:
        raise errors.DatabaseError(f"{host.name}: the database server's answer has an unknown form")
    directory = posixpath.dirname(variables["log_bin_basename"])
    options = {option: variables[option] for option in KEPT if option in variables}
    zone = variables.get("zone", "").strip()
    return Look(
        datetime.fromtimestamp(now, UTC),
        directory,
        variables["gtid_binlog_state"],
        _identity(name, head),
        options,
        zone,
        unlogged(variables),
    )


def unlogged(variables: Mapping[str, str]) -> str:
    """Return the server's replicated position if what it replicates is not in its own binary logs; else empty."""
    return variables.get("gtid_slave_pos", "") if variables.get("log_slave_updates") == "OFF" else ""


def _require(host: Host, variables: Mapping[str, str]) -> None:
    if variables.get("log_bin") != "ON" or not variables.get("log_bin_basename"):
        raise errors.DatabaseError(
            f"{host.name}: the server writes no binary logs",
            "set log_bin in its option file and restart it, or take `binlog: true` out of the inventory",
        )
    if variables.get("encrypt_binlog") == "ON":
        raise errors.DatabaseError(
            f"{host.name}: the server encrypts its binary logs (encrypt_binlog): no tool reads them without its keys",
            "the archive is encrypted anyway: set encrypt_binlog=OFF, or take `binlog: true` out of the inventory",
        )


def _identity(name: str | None, head: str) -> Identity | None:
    reader = binlog_format.Reader()
    try:
        reader.feed(bytes.fromhex(head))
    except ValueError:
        return None
    return Identity(name, reader.server, reader.created) if name is not None and reader.created else None


def archive(access: Access, directory: str, after: str = "") -> Stream:
    """Return the stream that closes the binary log and writes all closed ones after the one named `after`, as a tar.

    Its report goes to standard error, for `told`.
    """
    plan = {
        "list": access.command(CLIENT, _OPTIONS, _CLOSE),
        "cat": list(access.beside('exec cat -- "$1"')),
        "directory": directory,
        "after": after,
    }
    body = quote((*PROGRAM.words, json.dumps(plan)))
    return Stream(body, {**access.environment, **PROGRAM.environment})


@dataclass(frozen=True)
class Archived:
    """One binary log in a new archive. `start` and `end` are GTID states; `fault` is why it ends early."""

    identity: Identity
    start: str
    end: str
    fault: str


def told(said: Sequence[str]) -> tuple[datetime, list[Archived]] | None:
    """Parse the stream's report: the server's time at closing the log, and the files. None if it is invalid."""
    line = next((line for line in reversed(said) if line.startswith(collect_binlogs.TOLD)), None)
    if line is None:
        return None
    try:
        learnt = answers.read(_Collected, line.removeprefix(collect_binlogs.TOLD))
    except answers.AnswerError:
        return None
    files = [
        Archived(Identity(each.name, each.server, each.created), each.start, each.end, each.fault)
        for each in learnt.files
    ]
    return datetime.fromtimestamp(learnt.until, UTC), files


def joined(before: Saved | None, until: datetime, files: Sequence[Archived]) -> tuple[Saved, list[str]]:
    """Return the new state of the archived binary logs, and where their chain is broken, one sentence for each break.

    `files` are in order, and not empty.
    """
    last = (before.last, before.state) if before else None
    chain, breaks = (before.chain if before else files[0].identity), []
    for file in files:
        if last is not None and (why := broken(*last, file.identity, file.start)):
            chain = file.identity
            breaks.append(why)
        if file.fault:
            chain = file.identity
            breaks.append(f"{file.identity.name} is damaged: {file.fault}")
        last = (file.identity, file.end)
    return Saved(chain, files[-1].identity, files[-1].end, until), breaks


def broken(last: Identity, state: str, following: Identity, start: str) -> str:
    """Return why the binary log `following` does not continue `last`, after which the GTID state was `state`.

    Empty if it does.
    """
    if following.server != last.server:
        return f"{following.name} is of another server than {last.name}"
    if following.name.rpartition(".")[0] != last.name.rpartition(".")[0] or following.number <= last.number:
        return f"the binary logs start over with {following.name}: the server was restored, or RESET MASTER was run"
    if following.number > last.number + 1:
        purged = binlog_format.successor(last.name)
        return f"{purged} was purged before it was saved: {following.name} came after {last.name}"
    if binlog_format.state(start) != binlog_format.state(state):
        return f"{following.name} does not go on where {last.name} ends"
    return ""
