"""Point-in-time recovery: a backup and its later binary logs, unpacked and replayed on a host."""

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Name, Text, Unix, last_line, typed
from tasks.borg.client.runner import CONTENT_FAILED
from tasks.containers.one_off import OneOff
from tasks.errors import RefusedError
from tasks.mariadb import damage, errors, unpack
from tasks.mariadb.binlogs import Saved
from tasks.mariadb.host import (
    binlog_format,
    check_table,
    data_files,
    data_options,
    examine,
    ordinary_user,
    private_server,
    recovery_point,
    refused_transaction,
    replay,
    roles,
    settings,
    tables,
)
from tasks.mariadb.host.tables import Known
from tasks.mariadb.replica_position import by_gtid, corrected
from tasks.mariadb.unpack import Unpacked
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.script import Script, Stream, Words, quote, without
from tasks.remote.walled import Walled

PROGRAM = Program(
    replay,
    (
        binlog_format,
        ordinary_user,
        data_files,
        data_options,
        private_server,
        roles,
        recovery_point,
        refused_transaction,
        settings,
        damage,
        tables,
        check_table,
        examine,
    ),
)
Way = Callable[[Words], Words]
PATIENCE = 600  # seconds for the private server to answer
GRACE = 120.0  # seconds to remove the copy of a large database


class _Position(Answer):
    name: Name
    offset: Count
    gtid: Text
    server: Count | None = None
    created: Unix | None = None


@dataclass(frozen=True)
class Position:
    """The end of a backup, from its record; `server` and `created` identify the binary log of that name."""

    name: str
    offset: int
    gtid: str
    server: int | None = None
    created: int | None = None

    @classmethod
    def parse(cls, values: object) -> "Position | None":
        """Parse a record's details; None if they are invalid."""
        try:
            said = typed(_Position, values)
        except AnswerError:
            return None
        if said.server is None or said.created is None:
            return cls(said.name, said.offset, said.gtid)
        return cls(said.name, said.offset, said.gtid, said.server, said.created)


@dataclass(frozen=True)
class Moment:
    """The moment to which a server is brought, and what is needed for it.

    `logs` produce the archives of binary logs, each a tar, in order. `saved` is the state of all archived binary logs
    in the records, None if unknown. `options` and `zone` are those of the server that wrote them; `server` is what the
    backup's record has of it (`Server.details`).
    """

    at: datetime
    logs: Sequence[Stream]
    position: Position | None = None
    saved: Saved | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    server: Mapping[str, Any] = field(default_factory=dict)
    older: str = ""  # the archive of the previous full backup, for a remedy
    trust: bool = False  # replay even if no walls can be built
    inside: OneOff | None = None  # the container in which it is done, in place of walls


@dataclass(frozen=True)
class Recovered:
    """The result: the number of transactions replayed, up to an offset of a binary log, and the GTID state there.

    `newest` is the time of the newest transaction, None if none was replayed. `odd` transactions were dated outside
    their binary log's time; `after` were written after the cut but dated before it.
    """

    transactions: int
    file: str
    offset: int
    state: str
    newest: datetime | None
    odd: int
    after: int


class _Fault(Answer):
    """The answer of `host/replay.py` if it fails."""

    fault: Text | None = None
    remedy: Text = ""
    refused: bool = False


class _Reached(Answer):
    """The answer of `host/replay.py` otherwise."""

    transactions: Count
    file: Text
    offset: Count
    state: Text
    newest: Unix | None
    odd: Count
    after: Count
    said: list[Text] = Field(default_factory=list)
    replicated: Text = ""


class RecoverError(errors.DatabaseError):
    """The moment could not be reached."""


def script(
    unpacking: Script,
    moment: Moment,
    directory: str,
    goes_on: str | None = None,
    expected: Known | None = None,
) -> Script:
    """Return one script that runs `unpacking` (of `unpack.script`, into `directory`) and replays up to the moment.

    `goes_on` is the base name under which a server in place will continue its binary logs, `expected` are the tables
    expected in the archive. If anything fails, nothing is left.
    """
    scratch = f"{directory}.replay"
    plan = {
        "data": directory,
        "scratch": scratch,
        "position": asdict(moment.position) if moment.position else None,
        "at": int(moment.at.timestamp()),
        "saved": moment.saved.details() if moment.saved else None,
        "options": dict(moment.options),
        **{name: moment.server.get(name) for name in settings.DETAILS},
        **({"zone": moment.zone} if moment.zone else {}),
        "binlog": goes_on,
        "patience": PATIENCE,
        "older": moment.older,
        "tables": expected.details() if expected else None,
    }
    beside, on_data = _ways(moment, directory, scratch)
    inside = moment.inside
    secrets = without(
        Stream("", {**unpacking.environment, **{name: "" for each in moment.logs for name in each.environment}})
    )
    whole = quote(("rm", "-rf", "--", directory))
    begun = (
        f"{quote(('mkdir', '-p', '-m', '700', '--', directory))}\n( {secrets}; {inside.begin((directory, scratch))} )"
        if inside
        else ":"
    )
    extracting = "\n".join(
        f"{{ {stream.body}\n}} | ( {without(stream)}\n"
        f"{quote(beside((*PROGRAM.words, 'extract', posixpath.join(scratch, 'logs', str(number)))))} ) || "
        f'{{ echo "{CONTENT_FAILED} ${{PIPESTATUS[0]}}" >&2; exit 1; }}'
        for number, stream in enumerate(moment.logs)
    )
    words = json.dumps(plan)
    body = f"""\
unpacked=
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  {inside.end if inside else ":"}
  {quote(("rm", "-rf", "--", scratch))}
  [ "$code" = 0 ] || {unpack.discard(directory) if inside else f'[ -z "$unpacked" ] || {whole}'}
  exit "$code"
}}
trap cleanup EXIT
{quote(("mkdir", "-p", "--", posixpath.dirname(directory)))}
{quote(("mkdir", "-m", "700", "--", scratch))}
{begun}
{extracting}
{quote(beside((*PROGRAM.words, "check", words)))} </dev/null
(
{unpacking.body}
)
unpacked=yes
{quote(on_data((*PROGRAM.words, "replay", words)))} </dev/null
{inside.ownership(directory) if inside else ":"}
"""
    environment = {**unpacking.environment, **PROGRAM.environment, **walled.PROGRAM.environment}
    for stream in moment.logs:
        environment.update(stream.environment)
    return Script(body, environment, grace=GRACE)


def _ways(moment: Moment, directory: str, scratch: str) -> tuple[Way, Way]:
    """Return what runs our programs on the binary logs alone, and on the data: in a container, or behind walls."""
    keep, inside = tuple(PROGRAM.environment), moment.inside
    if inside is not None:
        return (lambda words: inside.program(words, keep, scratch)), (
            lambda words: inside.program(words, keep, directory)
        )
    beside = Walled(scratch, keep=keep, trust=moment.trust)
    on_data = Walled(directory, (scratch,), keep, moment.trust, "backup-my.cnf", owner=True)
    return beside.words, on_data.words


def read(host: Host, output: Output, directory: str) -> tuple[Unpacked, Recovered]:
    """Parse the output of `script`.

    Raises RefusedError if the moment cannot be reached, RecoverError if the replay failed; otherwise as `unpack.run`.
    """
    told = _told(output)
    if told.fault is not None and not re.search(rf"{CONTENT_FAILED} (?!0$|141$)", output.error_text, re.MULTILINE):
        kind = RefusedError if told.refused else RecoverError
        raise kind(f"{host.name}: {told.fault}", told.remedy)
    unpacked = unpack.read(host, output, directory)
    try:
        end = last_line(_Reached, output.text)
    except AnswerError as error:
        raise RecoverError(f"{host.name}: the replay reported no outcome") from error
    return _moved(unpacked, end), Recovered(
        transactions=end.transactions,
        file=end.file,
        offset=end.offset,
        state=end.state,
        newest=datetime.fromtimestamp(end.newest, UTC) if end.newest is not None else None,
        odd=end.odd,
        after=end.after,
    )


def _moved(unpacked: Unpacked, end: _Reached) -> Unpacked:
    """Return what was unpacked, with its position after the replay: mariadb-backup noted that of the backup's end."""
    stood, when = unpacked.replica and corrected(unpacked.replica, end.replicated), unpacked.when
    galera, said = unpacked.galera, list(end.said)
    if end.transactions:
        stood, when = unpacked.replica and by_gtid(end.replicated), "that moment"
        if (unpacked.replica and not stood) or galera:
            said.append("where it stood in its master's binary log, or in its cluster, at that moment is not known")
        galera = ""
    return replace(unpacked, replica=stood, galera=galera, when=when, remarks=tuple(said))


def _told(output: Output) -> _Fault:
    try:
        return last_line(_Fault, output.text)
    except AnswerError:
        return _Fault()
