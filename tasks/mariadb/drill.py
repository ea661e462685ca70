"""A restore drill: restores an archive's database next to the live data, starts a private server on it and examines it.

The app's own server is not touched: the drill has a directory of its own, which is always removed, and its server dies
with the program that started it (`host/examine.py`).
"""

import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.answers import Answer, AnswerError, Count, Seconds, Text, last_line
from tasks.containers.one_off import OneOff
from tasks.mariadb import damage, errors, unpack
from tasks.mariadb.enclosure import Enclosure
from tasks.mariadb.host import check_table, data_options, examine, ordinary_user, private_server, settings, tables
from tasks.mariadb.host.tables import Known
from tasks.mariadb.replica_position import corrected
from tasks.mariadb.server import Position
from tasks.mariadb.unpack import OnLine
from tasks.options import FOLDER
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.script import Script, Stream, quote, without

PROGRAM = Program(examine, (ordinary_user, data_options, private_server, settings, damage, tables, check_table))
NAME = "cloudbackup-drill-"  # prefix of the directories' names
MARGIN = 128 << 20  # bytes beyond the data: the server's redo log and temporary tablespace
PATIENCE = 600  # seconds for the server to answer
GRACE = 120.0  # seconds to remove the copy of a large database


@dataclass(frozen=True)
class DrillOptions:
    """How to drill: `verify` are queries that must each return 1, `folder` is where the copy is kept meanwhile.

    `size` is the content's length in bytes, `version` that of the saved server, if known, `time_limit` is in seconds,
    None for no limit. `tables` are those expected in the data, `server` is what the backup's record has of the server
    (`Server.details`), if known. `trust`: run even if no walls can be built.
    """

    size: int
    verify: Sequence[str] = ()
    folder: str = FOLDER
    version: str = ""
    time_limit: float | None = None
    tables: Known | None = None
    server: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    inside: OneOff | None = None  # the container in which it is done, in place of walls


@dataclass(frozen=True)
class Drilled:
    """A drill that succeeded.

    `restore_seconds` is the time until a server answered on the data, `seconds` that of the whole drill; `size` is the
    size of the data on disk in bytes; `tables` is the number of checked tables, including the server's own. `position`
    is the binary log position noted by mariadb-backup; `replica`, `galera` and `walls` are as in `unpack.Unpacked`.
    `remarks` are for people.
    """

    version: str
    restore_seconds: float
    seconds: float
    size: int
    tables: int
    position: Position | None
    gtid: str
    remarks: tuple[str, ...]
    replica: str = ""
    galera: str = ""
    walls: tuple[str, ...] = ()


class DrillError(errors.DatabaseError):
    """The archive was restored and is not good, or no server could be started on it."""


class _Told(Answer):
    """The answer of `host/examine.py`: `fault` and `remedy`, or all other fields; empty if it did not get that far."""

    fault: Text | None = None
    remedy: Text = ""
    restore_seconds: Seconds | None = None
    bytes: Count | None = None
    tables: Count | None = None
    remarks: list[Text] | None = None
    walls: list[Text] | None = None
    position: Text = ""


def _told(output: Output) -> _Told:
    try:
        return last_line(_Told, output.text)
    except AnswerError:
        return _Told()


def drill_script(content: Stream, options: DrillOptions, name: str) -> Script:
    """Return the one script that restores `content` into the directory `name`, examines it and removes it."""
    scratch = posixpath.join(options.folder, name)
    plan = {
        "scratch": scratch,
        "verify": list(options.verify),
        "patience": PATIENCE,
        "version": options.version,
        "tables": options.tables.details() if options.tables else None,
        **{name: options.server.get(name) for name in settings.DETAILS},
    }
    data = posixpath.join(scratch, "data")
    prefix = options.inside.exec() if options.inside else ()
    how = unpack.How(options.size + MARGIN, options.version, prefix, options.trust)
    unpacking = unpack.script(content, data, how)
    around = Enclosure(scratch, tuple(PROGRAM.environment), options.inside, options.trust)
    ready = around.words((*PROGRAM.words, "ready", json.dumps(plan)))
    prove = around.words((*PROGRAM.words, "prove"), keys="data/backup-my.cnf")
    body = f"""\
began=$(date +%s)
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  {around.end}
  {quote(("rm", "-rf", "--", scratch))}
  exit "$code"
}}
trap cleanup EXIT
{quote(("mkdir", "-m", "700", "--", scratch))}
{around.begin(content)}
( {without(content)}
{quote(ready)} ) </dev/null
(
{unpacking.body}
)
plan={quote((json.dumps(plan),))}
{without(content)}
{quote(prove)} "${{plan%?}}, \\"began\\": $began}}"
"""
    return Script(body, {**unpacking.environment, **PROGRAM.environment}, grace=GRACE)


def run(host: Host, content: Stream, options: DrillOptions, on_stderr: OnLine | None = None) -> Drilled:
    """Drill on `host`, which needs mariadb-backup and a server program of the backup's series, and python3.

    Nothing is left there in any case. Raises RefusedError if no walls can be built; DrillError with what is wrong with
    the data; unpack.ContentError if the archive cannot be read; errors.DatabaseError if it cannot be unpacked there;
    HostError, ScriptTimeoutError.
    """
    name = NAME + secrets.token_hex(8)
    output = host.run(drill_script(content, options, name), options.time_limit, on_stderr)
    walled.require(output, host.name)
    told = _told(output)
    if told.fault is not None:
        raise DrillError(f"{host.name}: {told.fault}", told.remedy)
    unpacked = unpack.read(host, output, posixpath.join(options.folder, name, "data"))
    if (
        told.restore_seconds is None
        or told.bytes is None
        or told.tables is None
        or told.remarks is None
        or told.walls is None
    ):
        raise DrillError(f"{host.name}: the drill reported no outcome")
    if unpacked.replica:
        unpacked = replace(unpacked, replica=corrected(unpacked.replica, told.position))
    return Drilled(
        version=unpacked.version,
        restore_seconds=told.restore_seconds,
        seconds=output.seconds,
        size=told.bytes,
        tables=told.tables,
        position=unpacked.position,
        gtid=unpacked.gtid,
        remarks=(*unpacked.standing(), *told.remarks, *map(_moved, unpacked.links)),
        replica=unpacked.replica,
        galera=unpacked.galera,
        walls=tuple(told.walls),
    )


def _moved(link: str) -> str:
    return f"{link.removesuffix('.isl')} has its file elsewhere on the app's server; the copy had its own"
