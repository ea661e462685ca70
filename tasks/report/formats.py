"""One writer for each format of the report. A further format is one module and one line here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from importlib import import_module
from typing import TextIO

from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.report.rows import Report

# Each names a module with `write(report, look) -> str`, imported when it is wanted.
WRITERS = {
    "table": "tasks.report.table",
    "json": "tasks.report.json_text",
}


@dataclass(frozen=True)
class Look:
    """How a person is to see it: with colours or without, times in which zone (None for the machine's own)."""

    colour: bool = False
    zone: tzinfo | None = None


def write(report: Report, name: str, look: Look) -> str:
    """Return the report in the format of that name, without a newline at its end. UsageError for an unknown format."""
    if name not in WRITERS:
        raise UsageError(f"there is no format `{name}`{nearest(name, WRITERS)}")
    writer: Callable[[Report, Look], str] = import_module(WRITERS[name]).write
    return writer(report, look)


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to colour what goes to `stream`: a terminal, and NO_COLOR (no-color.org) not set."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
