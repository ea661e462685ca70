"""`restore --target -`: the one file of an archive, as it was saved, on standard output.

Lines for people go to standard error. Nothing is run of what is read, so an archive that no record knows is given too,
with a warning.
"""

import sys
from datetime import UTC, datetime

from tasks.borg.choice import Choices
from tasks.borg.client.extract import content, size
from tasks.errors import AppError, InterruptedRunError, UsageError
from tasks.fleet.recorder import lowered, recorded
from tasks.remote.output import Output
from tasks.remote.script import Script
from tasks.run import raw_output
from tasks.run.outcome import Outcome
from tasks.sources.base import Planned, Restorable
from tasks.terminal import printable
from tasks.units import size as shown

OUTPUT = "-"  # as --target


def run(choices: Choices, source: Restorable, planned: Planned) -> int:
    """Write an archive's file; return the exit code: 3 if it is whole, and the archive or its record is not good.

    Raises UsageError if the source has no such file, AppError if not all of it was written, HostError.
    """
    app, archive, began = choices.app, planned.archive, datetime.now(UTC)
    if source.file is None or planned.at is not None:
        raise UsageError(
            f"{source.name} of {app.name} is not one file that could be written to standard output",
            "give a folder by --target" if source.file is None else "leave out --at, or give a folder by --target",
        )
    _say(f"{archive.name} of {app.name}, {source.file}")
    total, _ = size(choices.repository, archive.name)
    with raw_output.whole("") as receiver:
        output = _passed(choices, archive.name, source.file, receiver)
    if not output.ok or receiver.count != total:
        lines = [line for line in output.error_text.splitlines() if line.strip()]
        raise AppError(
            f"{app.name}: {shown(receiver.count)} of {shown(total)} were written: what was read of it is not whole",
            lines[-1] if lines else "",
        )
    outcome = Outcome(
        app=app.name,
        source=source.name,
        status="ok",
        began=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        size=total,
        archive=archive.name,
        archive_id=archive.id,
        details={"target": "standard output"},
    )
    outcome = lowered(outcome, planned.choice) if planned.choice else outcome
    outcome = recorded(choices.session, app, [outcome], "restore")[0]
    for line in outcome.said:
        _say(line)
    _say(f"{shown(total)} written, {outcome.status}")
    return 0 if outcome.status == "ok" else AppError.exit_code


def _passed(choices: Choices, archive: str, file: str, receiver: raw_output.Receiver) -> Output:
    """Pass the file on; return what was said. Raises HostError, InterruptedRunError."""
    stream, host = content(choices.repository, archive, file), choices.repository.host
    script = Script(stream.body, stream.environment)
    running = host.start(script, on_stdout=receiver.take)
    try:
        return running.wait(None, script.grace, receiver.full)
    except InterruptedRunError:
        if not receiver.full.is_set():
            raise
        return Output(1, b"", b"", 0.0)  # the receiver says why
    finally:
        running.end()


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
