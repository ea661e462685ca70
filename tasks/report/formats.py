"""One writer for each format of the report. A further format is one module and one line here."""

from dataclasses import dataclass
from datetime import tzinfo
from importlib import import_module

from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.records.record import HISTORY, NEWEST
from tasks.report.rows import Report

# Each names a module with `write(report, look) -> str`, imported when it is wanted.
WRITERS = {
    "table": "tasks.report.table",
    "json": "tasks.report.json_format",
    "csv": "tasks.report.csv_format",
    "markdown": "tasks.report.markdown",
    "html": "tasks.report.page",
    "prometheus": "tasks.report.metrics",
}
HISTORICAL = {"html"}  # those that show the past


@dataclass(frozen=True)
class Look:
    """How a person is to see it: with colours or without, times in which zone (None for the machine's own)."""

    colour: bool = False
    zone: tzinfo | None = None


def require(name: str) -> None:
    """Raise UsageError when there is no format of that name."""
    if name not in WRITERS:
        raise UsageError(f"there is no format `{name}`{nearest(name, WRITERS)}")


def records_wanted(name: str) -> int:
    """Return how many records of each kind the format of that name wants."""
    return HISTORY if name in HISTORICAL else NEWEST


def write(report: Report, name: str, look: Look) -> str:
    """Return the report in the format of that name, without a newline at its end. UsageError for an unknown format."""
    require(name)
    text = import_module(WRITERS[name]).write(report, look)
    assert isinstance(text, str)
    return text
