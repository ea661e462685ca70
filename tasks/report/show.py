"""`report`: gather, write, set the exit code."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.files import write_whole
from tasks.report.formats import Look, records_wanted, require, write
from tasks.report.gather import gather
from tasks.report.notice import tell
from tasks.report.rows import exit_code
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.terminal import own
from tasks.units import wants_colour


@dataclass(frozen=True)
class Options:
    """Which apps (none means all), in which format, into which file (empty: the terminal).

    `fresh` lists every repository again; `strict` is for `rows.exit_code`; `notify` also notifies the recipients in the
    inventory.
    """

    apps: Sequence[str] = ()
    format: str = "table"
    output: str = ""
    fresh: bool = False
    strict: bool = False
    notify: bool = False


def run(folder: str, options: Options) -> int:
    """Print the report, or write it to a file; return the exit code.

    Raises UsageError; AppError if the file cannot be written.
    """
    require(options.format)
    inventory, newest = load(Path(folder)), records_wanted(options.format)
    with Session(inventory) as session:
        report = gather(session, inventory.select(options.apps), fresh=options.fresh, newest=newest)
    look = Look(colour=not options.output and wants_colour(sys.stdout))
    text = write(report, options.format, look) + "\n"
    if options.output:
        write_whole(Path(options.output).expanduser(), text, "the report")
    else:
        (own(sys.stdout) if look.colour else sys.stdout).write(text)  # the table's cells are already printable
    if options.notify:
        tell(report, inventory)
    return exit_code(report, strict=options.strict)
