"""`report`: gather, write, set the exit code."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from tasks.errors import UsageError
from tasks.files import write_whole
from tasks.inventory.values import read_duration
from tasks.report.formats import Look, records_wanted, require, write
from tasks.report.gather import gather
from tasks.report.notice import tell
from tasks.report.rows import Report, exit_code
from tasks.run.session import Session
from tasks.sources.kinds import is_log
from tasks.storage.registry import load
from tasks.terminal import own
from tasks.units import wants_colour


@dataclass(frozen=True)
class Options:
    """Which apps (none means all), in which format, into which file (empty: the terminal).

    `fresh` lists every repository again; `unproven` is a duration: only what no drill has proven within it is shown,
    and is not well then; `strict` is for `rows.exit_code`; `notify` also notifies the recipients in the
    inventory.
    """

    apps: Sequence[str] = ()
    format: str = "table"
    output: str = ""
    fresh: bool = False
    unproven: str = ""
    strict: bool = False
    notify: bool = False


def run(folder: str, options: Options) -> int:
    """Print the report, or write it to a file; return the exit code.

    Raises UsageError; AppError if the file cannot be written.
    """
    require(options.format)
    span = _span(options.unproven)
    inventory, newest = load(Path(folder)), records_wanted(options.format)
    with Session(inventory) as session:
        report = gather(session, inventory.select(options.apps), fresh=options.fresh, newest=newest)
    if span is not None:
        report = unproven(report, span)
    look = Look(colour=not options.output and wants_colour(sys.stdout), width=_width(options))
    text = write(report, options.format, look) + "\n"
    if options.output:
        write_whole(Path(options.output).expanduser(), text, "the report")
    else:
        (own(sys.stdout) if look.colour else sys.stdout).write(text)  # the table's cells are already printable
    if options.notify:
        tell(report, inventory)
    if span is not None:
        return 3 if options.strict and any(row.status != "paused" for row in report.apps) else 0
    return exit_code(report, strict=options.strict)


def unproven(report: Report, span: timedelta) -> Report:
    """Return the report of those sources alone that no drill has proven within `span`; logs are proven with another."""
    since = report.generated - span
    rows = [row for row in report.apps if not is_log(row.source) and (row.proven is None or row.proven < since)]
    return replace(report, apps=tuple(rows))


def _span(text: str) -> timedelta | None:
    try:
        return read_duration(text) if text else None
    except ValueError as error:
        raise UsageError(f"--unproven {error}") from None


def _width(options: Options) -> int:
    """Return the width of the terminal that a table is for; 0 if it is for a file or a program."""
    terminal = not options.output and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else 0
