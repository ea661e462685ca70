"""`report`: gather, write, tell by the exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import AppError
from tasks.human import wants_colour
from tasks.inventory import load
from tasks.report.formats import Look, require, write
from tasks.report.gather import gather
from tasks.report.rows import exit_code
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
        _write_whole(Path(output).expanduser(), text)
    else:
        sys.stdout.write(text)
    return exit_code(report, strict=strict)


def _write_whole(path: Path, text: str) -> None:
    """Replace the file whole: whoever reads it at this moment sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        raise AppError(f"cannot write the report to {path}: {error.strerror}") from error
