"""JSON of the tasks that list what a storage has, and change it by other options."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.errors import UsageError
from tasks.json_output import written


def list_alone(changes: bool, *, as_json: bool) -> None:
    """Raise UsageError if JSON is asked for together with a change: only the list is written as JSON."""
    if changes and as_json:
        raise UsageError("--format json: only the list is written as JSON", "leave it out, or the change")


def as_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a document."""
    yield from written(values).split("\n")
