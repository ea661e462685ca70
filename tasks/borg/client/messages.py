"""What borg writes to standard error with `--log-json`: one JSON object per line, among lines of other programs.

Documented in borg's `docs/internals/frontends.rst`; lines of ssh, of a dump and of bash pass through unchanged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tasks.answers import Answer, AnswerError, Count, Text, cut, read


class Level(Enum):
    """The severity of a message. OTHER is a line that another program wrote."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    QUESTION = "question"
    OTHER = "other"


@dataclass(frozen=True)
class Message:
    """One message. `msgid` is borg's name for an error or question; empty if it has none."""

    level: Level
    text: str
    msgid: str = ""


@dataclass(frozen=True)
class Progress:
    """The progress of borg.

    `size` and `stored` are bytes so far, `files` is their number, `path` the one being read; `percent` is set for
    checks and the like, and `text` then names the step.
    """

    size: int = 0
    stored: int = 0
    files: int = 0
    path: str = ""
    percent: float | None = None
    text: str = ""


class _Line(Answer):
    """One line of borg's, of any type; fields of other types are missing."""

    type: Text
    levelname: Text = ""
    name: Text = ""
    message: Text = ""
    msgid: Text | None = None
    finished: bool = False
    original_size: Count | None = None
    deduplicated_size: Count | None = None
    nfiles: Count | None = None
    path: Text = ""
    current: Count | None = None
    total: Count | None = None


LONGEST_LINE = 1 << 20  # bytes
_LEVELS = {"CRITICAL": Level.ERROR, "ERROR": Level.ERROR, "WARNING": Level.WARNING}


def read_line(line: str) -> Message | Progress | None:
    """Parse a line; None if it is empty or only marks an end."""
    if not line.strip():
        return None
    said = _said(line)
    if said is None:
        return Message(Level.OTHER, cut(line.rstrip()))
    match said.type:
        case "log_message":
            return Message(_level(said), said.message.strip(), said.msgid or "")
        case "question_prompt":
            return Message(Level.QUESTION, said.message.strip(), said.msgid or "")
        case "archive_progress" | "progress_percent" | "progress_message":
            return _progress(said)
        case _:
            return None


def _level(said: _Line) -> Level:
    """Return a message's level; OTHER for output of ssh or of a shell on the storage.

    borg passes such output on as a warning, which it is not (1.2.4 and 1.4.5, `handle_remote_line`: the logger is the
    root one, with "Remote: " in front): a greeting in the storage's start files would put a warning on every backup.
    """
    if said.name == "root" and said.message.startswith("Remote: "):
        return Level.OTHER
    return _LEVELS.get(said.levelname, Level.INFO)


def read_messages(text: str) -> tuple[Message, ...]:
    """Return all messages of a run in order, without its progress."""
    return tuple(message for message in map(read_line, text.splitlines()) if isinstance(message, Message))


def texts(messages: Iterable[Message], *levels: Level) -> tuple[str, ...]:
    """Return the texts of the messages with certain levels, in order, each once, without empty ones."""
    return tuple(dict.fromkeys(message.text for message in messages if message.level in levels and message.text))


def _said(line: str) -> _Line | None:
    # An unfinished line of another program (a password prompt without its line break) may precede borg's.
    start = line.find('{"')
    if start < 0:
        return None
    try:
        return read(_Line, line[start:], LONGEST_LINE)
    except AnswerError:
        return None


def _progress(said: _Line) -> Progress | None:
    if said.finished:
        return None
    if said.type == "archive_progress":
        return Progress(said.original_size or 0, said.deduplicated_size or 0, said.nfiles or 0, said.path)
    percent = 100 * said.current / said.total if said.current is not None and said.total else None
    return Progress(percent=percent, text=said.message.strip())
