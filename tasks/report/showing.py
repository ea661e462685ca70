"""`report`: gather, write, tell by the exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.human import wants_colour
from tasks.inventory import load
from tasks.report.formats import Look, require, write
from tasks.report.gather import gather
from tasks.report.rows import exit_code
from tasks.report.whole import write_whole
from tasks.storage.session import Session


def run(folder: str, apps: Sequence[str], name: str, output: str, *, strict: bool) -> int:
    """Show the report in the format `name`, or write it to the file `output`; return the exit code.

    Raises UsageError, AppError when the file cannot be written.
    """
    require(name)
    with Session(load(Path(folder))) as session:
        report = gather(session, session.inventory.select(apps))
    look = Look(colour=not output and wants_colour(sys.stdout))
    text = write(report, name, look) + "\n"
    if output:
        write_whole(Path(output).expanduser(), text)
    else:
        sys.stdout.write(text)
    return exit_code(report, strict=strict)
