"""`report`: gather, write, set the exit code."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from tasks.errors import UsageError
from tasks.files import write_whole
from tasks.inventory.inventory import Inventory
from tasks.inventory.values import read_duration
from tasks.records.record import HISTORY
from tasks.report import digest_formats
from tasks.report.digest import Digest, digest
from tasks.report.formats import Look, records_wanted, require, write
from tasks.report.gather import gather
from tasks.report.notice import tell, tell_digest
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
    and is not well then; `digest` is a duration: what happened within it is shown, by `digest_formats`; `strict` is
    for `rows.exit_code`; `notify` also notifies the recipients in the inventory.
    """

    apps: Sequence[str] = ()
    format: str = "table"
    output: str = ""
    fresh: bool = False
    unproven: str = ""
    digest: str = ""
    strict: bool = False
    notify: bool = False


def run(folder: str, options: Options) -> int:
    """Print the report, or write it to a file; return the exit code.

    Raises UsageError; AppError if the file cannot be written.
    """
    (digest_formats.require if options.digest else require)(options.format)
    unproven_for, digest_of = _span("--unproven", options.unproven), _span("--digest", options.digest)
    if unproven_for and digest_of:
        raise UsageError("--unproven and --digest are two reports", "give one of them")
    inventory = load(Path(folder))
    newest = HISTORY if digest_of else records_wanted(options.format)
    with Session(inventory) as session:
        report = gather(session, inventory.select(options.apps), fresh=options.fresh, newest=newest)
    if digest_of:
        return _digested(digest(report, digest_of), inventory, options)
    if unproven_for:
        report = unproven(report, unproven_for)
    look = _look(options)
    _show(write(report, options.format, look), options, look)
    if options.notify:
        tell(report, inventory)
    if unproven_for:
        return 3 if options.strict and any(row.status != "paused" for row in report.apps) else 0
    return exit_code(report, strict=options.strict)


def _digested(week: Digest, inventory: Inventory, options: Options) -> int:
    """Print the digest, or write it to a file, and send it; return the exit code."""
    look = replace(_look(options), colour=False)
    _show(digest_formats.write(week, options.format, look), options, look)
    if options.notify:
        tell_digest(week, inventory)
    return exit_code(week.report, strict=options.strict)


def _look(options: Options) -> Look:
    return Look(colour=not options.output and wants_colour(sys.stdout), width=_width(options))


def _show(text: str, options: Options, look: Look) -> None:
    if options.output:
        write_whole(Path(options.output).expanduser(), text + "\n", "the report")
    else:
        (own(sys.stdout) if look.colour else sys.stdout).write(text + "\n")  # the cells are already printable


def unproven(report: Report, span: timedelta) -> Report:
    """Return the report of those sources alone that no drill has proven within `span`; logs are proven with another."""
    since = report.generated - span
    rows = [row for row in report.apps if not is_log(row.source) and (row.proven is None or row.proven < since)]
    return replace(report, apps=tuple(rows))


def _span(option: str, text: str) -> timedelta | None:
    try:
        return read_duration(text) if text else None
    except ValueError as error:
        raise UsageError(f"{option} {error}") from None


def _width(options: Options) -> int:
    """Return the width of the terminal that a table is for; 0 if it is for a file or a program."""
    terminal = not options.output and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else 0
