"""The position of a restored replica: a server is started once on its data, behind walls, and queried.

Behind `exec` there are no walls of ours: there the app's own server is queried once it runs on the data.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from tasks.answers import Answer, AnswerError, Text, last_line
from tasks.mariadb import damage
from tasks.mariadb.access import CLIENT, Access
from tasks.mariadb.host import (
    check_table,
    data_options,
    examine,
    ordinary_user,
    private_server,
    replica,
    settings,
    tables,
)
from tasks.mariadb.unpack import OnLine, Unpacked
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, quote
from tasks.remote.walled import Walled

PROGRAM = Program(
    replica, (ordinary_user, data_options, private_server, settings, damage, tables, check_table, examine)
)
PATIENCE = 600  # seconds for the private server to answer
KNOWN = "replica"  # in a record's details: the server had replicated, if its account cannot query more
NOTED = re.compile(r"(gtid_slave_pos\s*=\s*')[^']*(')")
PLACE = re.compile(r"[\d,-]*", re.ASCII)


class _Stands(Answer):
    """The answer of `host/replica.py`: empty if the data is not a replica's."""

    fault: Text | None = None
    position: Text = ""
    said: list[Text] = Field(default_factory=list)


def script(directory: str, server: Mapping[str, Any], *, trust: bool) -> Script:
    """Return the script that starts a server once on the data in `directory`; `server` is from the backup's record."""
    scratch = f"{directory}.replica"
    plan = {
        "data": directory,
        "scratch": scratch,
        "known": server.get(KNOWN) is True,
        **{name: server.get(name) for name in settings.DETAILS},
        "patience": PATIENCE,
    }
    on_data = Walled(directory, (scratch,), tuple(PROGRAM.environment), trust, "backup-my.cnf", owner=True)
    body = f"""\
trap 'code=$?; rm -rf -- {quote((scratch,))}; exit "$code"' EXIT
trap 'exit 143' TERM INT HUP
{quote(("mkdir", "-m", "700", "--", scratch))}
{quote(on_data.words((*PROGRAM.words, json.dumps(plan))))} </dev/null
"""
    return Script(body, {**PROGRAM.environment, **walled.PROGRAM.environment})


def asked(
    host: Host, unpacked: Unpacked, server: Mapping[str, Any], *, trust: bool, on_stderr: OnLine | None = None
) -> Unpacked:
    """Return what was unpacked, with the replica's position from its data, and remarks for people.

    If no server can be started there, a remark says so, and mariadb-backup's notes are kept. Raises HostError.
    """
    output = host.run(script(posixpath.normpath(unpacked.directory), server, trust=trust), on_stderr=on_stderr)
    try:
        stands = last_line(_Stands, output.text)
    except AnswerError:
        stands = _Stands(fault=output.error_text.strip().rpartition("\n")[2] or "no server could be started there")
    if stands.fault is not None:
        return _unasked(unpacked, stands.fault)
    return replace(unpacked, replica=corrected(unpacked.replica, stands.position), remarks=tuple(stands.said))


def answered(host: Host, access: Access, unpacked: Unpacked, server: Mapping[str, Any]) -> Unpacked:
    """Return the same as `asked`, from the app's server, which runs on the data and does not replicate until set up.

    Raises HostError.
    """
    if not unpacked.replica and server.get(KNOWN) is not True:
        return unpacked
    words = ("--connect-timeout=20", "--batch", "--skip-column-names", f"--execute={settings.SLAVE_POSITION}")
    output = host.run(Script(access.command(CLIENT, words), access.environment), timeout=120)
    position = output.text.strip()
    if not output.ok or not PLACE.fullmatch(position):
        return _unasked(unpacked, output.error_text.strip().rpartition("\n")[2] or "the server reported no position")
    return replace(unpacked, replica=corrected(unpacked.replica, position))


def _unasked(unpacked: Unpacked, why: str) -> Unpacked:
    """Return what was unpacked, with a doubtful position: mariadb-backup may have noted another than the data's."""
    said = f"where the replica stands could not be asked of its data: {why}"
    return replace(unpacked, remarks=(said,), doubtful=bool(unpacked.replica))


def corrected(notes: str, position: str) -> str:
    """Return mariadb-backup's notes with the position from the data."""
    if not position or not PLACE.fullmatch(position):
        return notes
    if not NOTED.search(notes):
        return " ".join(filter(None, (f"SET GLOBAL gtid_slave_pos = '{position}';", notes)))
    return NOTED.sub(rf"\g<1>{position}\g<2>", notes)


def by_gtid(position: str) -> str:
    """Return the statements that make the server a replica at a position; empty if the position is empty."""
    if not position or not PLACE.fullmatch(position):
        return ""
    return f"SET GLOBAL gtid_slave_pos = '{position}'; CHANGE MASTER TO master_use_gtid = slave_pos;"
