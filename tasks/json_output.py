"""The one way in which tasks print JSON; docs/json.md lists the fields of each.

One document on standard output: sizes in bytes, times in UTC, what is not known null. A fault goes to standard error
and keeps its exit code; where it ends the task, there is no document.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks import version
from tasks.encodable import encodable_in
from tasks.errors import UsageError
from tasks.times import utc

VERSION = 1
FORMATS = ("table", "json")


def wants_json(name: str) -> bool:
    """Return whether `--format` asks for JSON. Raises UsageError unless it is table or json."""
    if name not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not `{name[:80]}`")
    return name == "json"


def refuse_json(name: str, why: str) -> None:
    """Raise UsageError if `--format` asks for JSON where a task changes something, or its output is for people."""
    if wants_json(name):
        raise UsageError(f"--format json: {why}", "leave it out")


def written(values: Mapping[str, Any]) -> str:
    """Return a document: the version of its format, the version of the tool, and the values."""
    every = {"version": VERSION, "tool": version.VERSION, **values}
    return json.dumps(encodable_in(plain(every)), indent=1, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value in JSON's types: times in UTC, durations in seconds, dataclasses as objects."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value
