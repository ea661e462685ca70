"""Restores a database, or one table of it, out of a dump of MariaDB or MySQL beside the live data.

    dump -> host/mysql_slice.py -> host/vetted_dump.py -> the live server's client

Only tables and rows come through, into a new database; see `tasks.mariadb.part_restore`, whose work this is.
"""

import json
import posixpath
import secrets
from datetime import datetime
from functools import partial
from typing import NamedTuple

from tasks.answers import Answer, AnswerError, Text, read
from tasks.borg.choice import Choice, Choices
from tasks.borg.client.extract import content, size
from tasks.borg.client.runner import UNLIMITED
from tasks.errors import AppError
from tasks.inventory.models import App, MariaDB
from tasks.mariadb.access import Access
from tasks.mariadb.host import digest
from tasks.mariadb.part_restore import Live, Names, loading, names_of, reached, said_of, settled, vetted_of
from tasks.options import FOLDER
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.script import Script, quote
from tasks.remote.secret import resolve
from tasks.sources.base import Destination, Part, Planned, Restored
from tasks.sources.dumps.dump_backup import file_of
from tasks.sources.dumps.dump_restore import FILE, GRACE, NAME, require_spooled, spool
from tasks.sources.dumps.host import mysql_slice
from tasks.sources.dumps.mysql import MySQL

SLICE = Program(mysql_slice)
FIELDS = ("defaults_file", "socket", "host", "port", "user", "exec")  # alike in `mariadb` of an app and in a dump


class _Archive(NamedTuple):
    """The chosen archive of the dump `name`."""

    choices: Choices
    choice: Choice
    name: str


class _Sliced(Answer):
    """What `host/mysql_slice.py` prints."""

    fault: Text = ""


def plan(choices: Choices, name: str, archive: str, at: datetime | None, part: Part) -> Planned:
    """Plan the restore of a part of a dump. Raises UsageError, RefusedError, DatabaseError, HostError."""
    names = names_of(part)
    live = reached(names, choices.repository.host, access(choices.app, name))
    choice = choices.choose(name, archive, at)
    work = partial(_carry_out, _Archive(choices, choice, name), names, live)
    return Planned(choice.archive, work, choice, beside=names.way, asks=names.asks)


def access(app: App, name: str) -> Access:
    """Return how to reach the server of a dump, with its password. Raises UsageError."""
    product = app.dumps[name].product
    assert isinstance(product, MySQL)
    server = MariaDB.model_construct(**{field: getattr(product, field) for field in FIELDS})  # validated there
    password = product.password
    return Access(server, None if password is None else resolve(password, f"the database password of {app.name}"))


def _carry_out(archive: _Archive, names: Names, live: Live, to: Destination) -> Restored:
    total, script = _script(archive, names, live)
    live.require_new()
    live.make()
    to.step(f"restores {names.shown} into {names.into}")
    output = live.host.run(script, UNLIMITED)
    context = f"{archive.choices.app.name}: {names.shown} was not restored"
    require_spooled(output.code, output.error_text, context, total)
    found = vetted_of(output.error_text)
    if not output.ok:
        raise AppError(f"{context}: {found.fault or _fault(output)}", f"{names.into} was dropped again")
    to.step("counts the rows")
    if not found.rows:
        live.host.run(Script(live.undo(), live.access.environment))
        raise AppError(f"{context}: nothing says which tables were loaded", f"{names.into} was dropped again")
    if wrong := [table for table, count in found.rows.items() if live.ask(_count(names.into, table)) != [str(count)]]:
        live.host.run(Script(live.undo(), live.access.environment))
        raise AppError(
            f"{context}: {', '.join(wrong[:5])} has not as many rows as the dump", f"{names.into} was dropped again"
        )
    status, lines = settled(names, live, said_of(names, found, "counted"))
    return Restored(total, tuple(lines), status, ())


def _script(archive: _Archive, names: Names, live: Live) -> tuple[int, Script]:
    """Return the size of the dump, and the script that loads a part of it."""
    repository, archive_name = archive.choices.repository, archive.choice.archive.name
    total, _ = size(repository, archive_name)
    folder = posixpath.join(FOLDER, NAME + secrets.token_hex(8))
    stream = content(repository, archive_name, file_of(archive.name))
    spooled = spool(stream, folder, {"bytes": total}, live.undo())
    load, environment = loading(names, live)
    plan = {"file": posixpath.join(folder, FILE), "database": names.database, "table": names.table}
    body = f"{spooled.body}\n{quote((*SLICE.words, json.dumps(plan)))} </dev/null | {load}\n"
    return total, Script(body, {**spooled.environment, **environment, **SLICE.environment}, grace=GRACE)


def _count(database: str, table: str) -> str:
    return f"SELECT COUNT(*) FROM {digest.name(database, table)};"  # noqa: S608 (names quoted)


def _fault(output: Output) -> str:
    """Return why it failed: what the slice found, or else what the client said last."""
    lines = [line for line in output.error_text.splitlines() if line.strip()]
    sliced = [line.removeprefix(mysql_slice.SLICED) for line in lines if line.startswith(mysql_slice.SLICED)]
    try:
        if sliced and (fault := read(_Sliced, sliced[-1]).fault):
            return fault
    except AnswerError:
        pass
    said = [line for line in lines if line.startswith("ERROR")] or lines
    return said[-1] if said else "it does not say why"
