"""A restore drill of a dump: on its host, on this machine, or relayed to another app's host.

The dump is read whole and compared with the checksum taken at the backup; then it is judged behind walls: by the app's
`verify` command, or by a private server of the product.
"""

import json
import posixpath
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.answers import Answer, AnswerError, Text, last_line
from tasks.borg.client.extract import content, size
from tasks.errors import AppError, RefusedError
from tasks.inventory.models import App
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.relay import relayed
from tasks.remote.script import Script, Stream, quote
from tasks.remote.walled import Walled
from tasks.run.outcome import Outcome
from tasks.sources.base import Drill
from tasks.sources.dumps.dump_backup import SHA256, file_of, product_of
from tasks.sources.dumps.dump_restore import FILE, GRACE, require_spooled, spool
from tasks.sources.dumps.host import judge_dump
from tasks.sources.dumps.product import Judge

RUN = Program(judge_dump)
NAME = "cloudbackup-drill-"  # prefix of the folders' names
PATIENCE = 3600  # seconds for the app's `verify` command
FEW, ALL = 3, 1_000_000  # records to read
LONGEST = 2000  # characters of a fault


class _Judgement(Answer):
    """The answer of the program that judged: `fault`, or `said`. `unable`: the fault is the machine's."""

    fault: Text = ""
    remedy: Text = ""
    unable: bool = False
    said: list[Text] | None = None
    walls: list[Text] | None = None


class DrillError(AppError):
    """The dump was restored and is not good."""


def drilled(asked: Drill, name: str) -> Outcome:
    """Return the outcome of a drill that succeeded. Raises CloudbackupError."""
    app, repository, archive = asked.choices.app, asked.choices.repository, asked.choice.archive
    asked.step(f"restores {archive.name}")
    total, _ = size(repository, archive.name)
    known = remembered(asked, name)
    stream = content(repository, archive.name, file_of(name))
    judge = product_of(app, name).judge() if name in app.dumps else Judge()
    expected = {"bytes": total, SHA256: known.get(SHA256)}
    found = _run(asked, stream, _Todo(app, name, judge, expected, known))
    where = (asked.elsewhere or repository.host).name
    read = f"{total:,} bytes read on {where}"
    whole = f"{read}, their checksum is that of the backup" if known.get(SHA256) else read
    nothing = ("nothing judges it: name a command under `verify`",) if found.said is None else ()
    return Outcome(
        app=app.name,
        source=name,
        status="ok",
        began=asked.began,
        seconds=(datetime.now(UTC) - asked.began).total_seconds(),
        size=total,
        said=(f"{whole}{_walls(found)}", *(found.said or ()), *nothing),
        details={
            "where": where,
            "bytes_read": total,
            "judged": found.said is not None,
            "walls": found.walls or [],
        },
    )


def _walls(found: _Judgement) -> str:
    if found.said is None:
        return ""
    return f"; judged behind walls ({', '.join(found.walls)})" if found.walls else "; judged without walls"


class _Todo:
    """What one drill does: of which dump, by what judge, what it must have."""

    def __init__(
        self, app: App, name: str, judge: Judge, expected: dict[str, object], known: Mapping[str, Any]
    ) -> None:
        self.app, self.name, self.judge, self.expected, self.known = app, name, judge, expected, known

    def script(self, stream: Stream, folder: str, *, own: bool, trust: bool) -> Script:
        """Return the one script that restores the dump into a folder, has it judged, and removes it."""
        spooled = spool(stream, folder, self.expected)
        program = self.judge.program or RUN
        plan = {
            "file": posixpath.join(folder, FILE),
            "scratch": folder,
            "patience": PATIENCE,
            "known": {key: self.known[key] for key in self.judge.plan.get("knows", ()) if key in self.known},
            **self.judge.plan,
        }
        if not self.judge.program and not self.judge.words:
            return Script(spooled.body, spooled.environment, grace=GRACE)
        exec_ = product_of(self.app, self.name).exec if own and self.judge.beside else ()
        if not self.judge.program:
            plan["words"] = [*exec_, *self.judge.words]
        words = (*program.words, json.dumps(plan))
        if not exec_:
            words = tuple(Walled(folder, keep=tuple(program.environment), trust=trust).words(words))
        added = {**program.environment, **walled.PROGRAM.environment}
        return Script(f"{spooled.body}\n{quote(words)} </dev/null\n", {**spooled.environment, **added}, grace=GRACE)


def _run(asked: Drill, stream: Stream, todo: _Todo) -> _Judgement:
    own = asked.choices.repository.host
    host = asked.elsewhere or own
    folder = posixpath.join(asked.folder, NAME + secrets.token_hex(8))
    limit = asked.choices.repository.time_limit
    if host is own:
        script = todo.script(stream, folder, own=asked.elsewhere is None, trust=asked.trust)
        return _read(host, host.run(script, limit), todo, asked.folder)
    with relayed(own, stream, host) as relay:
        script = todo.script(relay.taken, folder, own=False, trust=asked.trust)
        output = host.run(script, limit, relay.listen)
        return _read(host, output, todo, asked.folder)


def _read(host: Host, output: Output, todo: _Todo, folder: str) -> _Judgement:
    context = f"{todo.app.name}: the drill of {todo.name} failed on {host.name}"
    walled.require(output, host.name)
    require_spooled(
        output.code,
        output.error_text,
        context,
        int(str(todo.expected["bytes"])),
        f"{folder}, or take another by --scratch",
    )
    if output.ok and not todo.judge.program and not todo.judge.words:
        return _Judgement()
    try:
        found = last_line(_Judgement, output.text)
    except AnswerError:
        lines = [line for line in output.error_text.splitlines() if line.strip()]
        raise DrillError(f"{context}: {lines[-1][:LONGEST] if lines else 'it gives no outcome'}") from None
    if found.unable:
        raise RefusedError(f"{todo.app.name}: {todo.name} was not proven: {found.fault[:LONGEST]}", found.remedy)
    if found.fault or found.said is None:
        raise DrillError(
            f"{todo.app.name}: the dump is not sound: {found.fault[:LONGEST] or 'no outcome'}", found.remedy
        )
    return found


def remembered(asked: Drill, name: str) -> Mapping[str, Any]:
    """Return the details of the record of an archive's backup; empty if there is none or it cannot be read."""
    found: Mapping[str, Any] = {}
    for count in (FEW, ALL):  # nearly always it is one of the newest
        try:
            storage = asked.choices.session.storage_of(asked.choices.app)
            records = storage.read_records(asked.choices.app, count, (f"backup-{name}",)).all
        except AppError:
            return {}
        found = next((each.details for each in records if each.archive_id == asked.choice.archive.id), {})
        if found:
            break
    return found
