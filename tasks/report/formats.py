"""One writer per report format. To add a format, add a module and one line here."""

from dataclasses import dataclass
from datetime import timedelta, tzinfo
from importlib import import_module

from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.records.record import HISTORY, NEWEST
from tasks.report.rows import Report

# Each names a module with `write(report, look) -> str`, imported on use.
WRITERS = {
    "table": "tasks.report.table",
    "json": "tasks.report.json_format",
    "csv": "tasks.report.csv_format",
    "markdown": "tasks.report.markdown",
    "html": "tasks.report.page",
    "prometheus": "tasks.report.metrics",
}
HISTORICAL = {"html"}  # formats that show the past


@dataclass(frozen=True)
class Look:
    """How to display the report: with colours or without, and the time zone (None for the machine's own).

    A table keeps to `width` columns of a terminal, by leaving out what matters least (0: any width).

    The rest is for the page: after `lifetime` it calls itself out of date (None: once the first source would be late);
    every `reload` seconds it loads itself again (0: never); `fault` says why there is no newer report.
    """

    colour: bool = False
    zone: tzinfo | None = None
    lifetime: timedelta | None = None
    reload: int = 0
    fault: str = ""
    width: int = 0


def require(name: str) -> None:
    """Raise UsageError if the format does not exist."""
    if name not in WRITERS:
        raise UsageError(f"there is no format `{name}`{nearest(name, WRITERS)}")


def records_wanted(name: str) -> int:
    """Return how many records of each kind the format needs."""
    return HISTORY if name in HISTORICAL else NEWEST


def write(report: Report, name: str, look: Look) -> str:
    """Return the report in the named format, without a trailing newline. Raises UsageError for an unknown format."""
    require(name)
    text = import_module(WRITERS[name]).write(report, look)
    assert isinstance(text, str)
    return text
