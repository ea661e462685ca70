"""What borg writes to standard error under `--log-json`: one JSON object a line, between other programs' lines.

Documented in borg's `docs/internals/frontends.rst`; the lines of ssh, of a dump and of bash come through as they are.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Level(Enum):
    """How much a message matters. OTHER is a line that some other program wrote."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    QUESTION = "question"
    OTHER = "other"


@dataclass(frozen=True)
class Message:
    """One message. `msgid` is borg's name for an error or question, empty where it gives none."""

    level: Level
    text: str
    msgid: str = ""


@dataclass(frozen=True)
class Progress:
    """How far borg is.

    `size` and `stored` are bytes so far, `files` their number, `path` what is read now; `percent` is known for checks
    and the like, and then `text` says of what.
    """

    size: int = 0
    stored: int = 0
    files: int = 0
    path: str = ""
    percent: float | None = None
    text: str = ""


_LEVELS = {"CRITICAL": Level.ERROR, "ERROR": Level.ERROR, "WARNING": Level.WARNING}


def read_line(line: str) -> Message | Progress | None:
    """Return what a line says; None when it is empty or only marks an end."""
    if not line.strip():
        return None
    values = _json(line)
    if values is None:
        return Message(Level.OTHER, line.rstrip())
    match values["type"]:
        case "log_message":
            level = _LEVELS.get(str(values.get("levelname")), Level.INFO)
            return Message(level, str(values.get("message", "")).strip(), str(values.get("msgid", "")))
        case "question_prompt":
            return Message(Level.QUESTION, str(values.get("message", "")).strip(), str(values.get("msgid", "")))
        case "archive_progress" | "progress_percent" | "progress_message":
            return _progress(values)
        case _:
            return None


def read_messages(text: str) -> tuple[Message, ...]:
    """Return all messages of a run in order, without its progress."""
    return tuple(message for message in map(read_line, text.splitlines()) if isinstance(message, Message))


def texts(messages: Iterable[Message], *levels: Level) -> tuple[str, ...]:
    """Return the texts of the messages of some levels, in order, each once, without empty ones."""
    return tuple(dict.fromkeys(message.text for message in messages if message.level in levels and message.text))


def _json(line: str) -> dict[str, Any] | None:
    # An unfinished line of another program (a password prompt without its line break) may stand before borg's.
    start = line.find('{"')
    if start < 0:
        return None
    try:
        values = json.loads(line[start:])
    except ValueError:
        return None
    return values if isinstance(values, dict) and isinstance(values.get("type"), str) else None


def _progress(values: dict[str, Any]) -> Progress | None:
    if values.get("finished"):
        return None
    if values["type"] == "archive_progress":
        size, stored, files = (int(values.get(key) or 0) for key in ("original_size", "deduplicated_size", "nfiles"))
        return Progress(size, stored, files, str(values.get("path", "")))
    current, total = values.get("current"), values.get("total")
    percent = 100 * current / total if isinstance(current, int | float) and total else None
    return Progress(percent=percent, text=str(values.get("message", "")).strip())
