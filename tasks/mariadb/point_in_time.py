"""A restored server brought to a moment: its backup and the binary logs after it, unpacked and replayed on a host."""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Name, Text, Unix, last_line, typed
from tasks.errors import RefusedError
from tasks.mariadb import damage, errors, unpack
from tasks.mariadb.binlogs import Saved
from tasks.mariadb.host import (
    binlog_format,
    check_table,
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
from tasks.remote.script import Script, Stream, quote
from tasks.remote.walled import Walled

PROGRAM = Program(
    replay,
    (
        binlog_format,
        ordinary_user,
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
    """Where a backup ends, as its record says; `server` and `created` tell which binary log of that name."""

    name: str
    offset: int
    gtid: str
    server: int | None = None
    created: int | None = None

    @classmethod
    def parse(cls, values: object) -> "Position | None":
        """Return what is in a record's details, None when it is none."""
        try:
            said = typed(_Position, values)
        except AnswerError:
            return None
        if said.server is None or said.created is None:
            return cls(said.name, said.offset, said.gtid)
        return cls(said.name, said.offset, said.gtid, said.server, said.created)


@dataclass(frozen=True)
class Moment:
    """A moment to which a server is to be brought, and with what.

    `logs` give the archives of binary logs, each a tar, in their order. `saved` is what records tell of all that is
    saved, None when none does. `options` and `zone` are of the server that wrote them; `server` is what the backup's
    record has of it (`Server.details`).
    """

    at: datetime
    logs: Sequence[Stream]
    position: Position | None = None
    saved: Saved | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    server: Mapping[str, Any] = field(default_factory=dict)
    older: str = ""  # the archive of the whole backup before, for a remedy
    trust: bool = False  # replay also where no walls can be built


@dataclass(frozen=True)
class Recovered:
    """What was reached: so many transactions replayed, up to an offset of a binary log, and the GTID state there.

    `newest` is the date of the newest transaction, None when none was replayed. `odd` transactions had a date outside
    of their binary log's time, `after` were written after the cut with a date before it.
    """

    transactions: int
    file: str
    offset: int
    state: str
    newest: datetime | None
    odd: int
    after: int


class _Fault(Answer):
    """What `replay` answers when it fails."""

    fault: Text | None = None
    remedy: Text = ""
    refused: bool = False


class _Reached(Answer):
    """What `replay` answers otherwise."""

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
    """Return the one script that runs `unpacking`, of `unpack.script` into `directory`, and brings it to the moment.

    `goes_on` is the name under which a server in place is to go on writing binary logs, `expected` are the tables that
    the archive is to hold. When anything fails, nothing is left.
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
    keep = tuple(PROGRAM.environment)
    beside = Walled(scratch, keep=keep, trust=moment.trust)
    on_data = Walled(directory, (scratch,), keep, moment.trust, "backup-my.cnf", owner=True)
    extracting = "\n".join(
        f"{{ {stream.body}\n}} | ( {unpack.without(stream)}\n"
        f"{quote(beside.words((*PROGRAM.words, 'extract', posixpath.join(scratch, 'logs', str(number)))))} ) || "
        f'{{ echo "{unpack.CONTENT_FAILED} ${{PIPESTATUS[0]}}" >&2; exit 1; }}'
        for number, stream in enumerate(moment.logs)
    )
    words = json.dumps(plan)
    body = f"""\
unpacked=
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  {quote(("rm", "-rf", "--", scratch))}
  [ "$code" = 0 ] || [ -z "$unpacked" ] || {quote(("rm", "-rf", "--", directory))}
  exit "$code"
}}
trap cleanup EXIT
{quote(("mkdir", "-p", "--", posixpath.dirname(directory)))}
{quote(("mkdir", "-m", "700", "--", scratch))}
{extracting}
{quote(beside.words((*PROGRAM.words, "check", words)))} </dev/null
(
{unpacking.body}
)
unpacked=yes
{quote(on_data.words((*PROGRAM.words, "replay", words)))} </dev/null
"""
    environment = {**unpacking.environment, **PROGRAM.environment, **walled.PROGRAM.environment}
    for stream in moment.logs:
        environment.update(stream.environment)
    return Script(body, environment, grace=GRACE)


def read(host: Host, output: Output, directory: str) -> tuple[Unpacked, Recovered]:
    """Return what the script of `script` told.

    Raises RefusedError when the moment cannot be reached, RecoverError when the replay failed; as `unpack.run`.
    """
    told = _told(output)
    if told.fault is not None and not re.search(
        rf"{unpack.CONTENT_FAILED} (?!0$|141$)", output.error_text, re.MULTILINE
    ):
        kind = RefusedError if told.refused else RecoverError
        raise kind(f"{host.name}: {told.fault}", told.remedy)
    unpacked = unpack.read(host, output, directory)
    try:
        end = last_line(_Reached, output.text)
    except AnswerError as error:
        raise RecoverError(f"{host.name}: the replay told no outcome") from error
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
    """Return what was unpacked as it is after the replay: what mariadb-backup noted is of the end of the backup."""
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
