"""Exceptions that nobody foresaw: a fault of ours, kept in a file for a bug report, and one app's failure."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from invoke.exceptions import Exit

from tasks.answers import encodable
from tasks.errors import CloudbackupError
from tasks.terminal import OutputError

KEPT = 20  # files: the oldest go
LONGEST = 256 << 10  # characters of one
FOLDER = "~/.cache/cloudbackup/crashes"
# What may be a secret in the text of a library's exception: an assignment, a URL's password, a header.
_SECRETS = re.compile(
    r"(?i)((?:[\w-]*(?:pass(?:word|phrase|wd)?|secret|token|key)[\w-]*['\"]?\s*[=:]\s*|bearer\s+|://[^\s/:@]*:)['\"]?)"
    r"([^\s'\"@,;]+)"
)


_known: set[str] = set()


def hide(secret: str) -> None:
    """Let no file have this text. One that is too short would make the rest unreadable."""
    if len(secret.strip()) >= 4:
        _known.add(secret.strip())


class UnforeseenError(CloudbackupError):
    """Something that nobody foresaw; the remedy names the file that tells more."""


def unforeseen(error: Exception, where: str = "") -> UnforeseenError:
    """Return the error for an exception that nobody foresaw, of the app or place `where`. Its traceback is kept."""
    what = f"unexpected: {type(error).__name__}: {_hidden(str(error))}".strip().rstrip(":")
    what = what.splitlines()[0][:300]
    try:
        remedy = f"a fault of cloudbackup; for a bug report, its traceback is in {_kept(error, where)}"
    except OSError as fault:
        remedy = f"a fault of cloudbackup; its traceback could not be kept: {fault.strerror}"
    return UnforeseenError(f"{where}: {what}" if where else what, remedy)


@contextmanager
def foreseen(where: str = "") -> Iterator[None]:
    """Turn an exception of the block that is no CloudbackupError into an UnforeseenError of the app `where`."""
    try:
        yield
    except (CloudbackupError, OutputError, Exit):  # Exit is how a task ends with a code of its own
        raise
    except Exception as error:
        raise unforeseen(error, where) from error


def folder() -> Path:
    """Return where the files lie: beside borg's caches, in the operator's home."""
    return Path(FOLDER).expanduser()


def _kept(error: Exception, where: str) -> Path:
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in sorted(place.glob("*.txt"))[: -(KEPT - 1) or None]:
        old.unlink(missing_ok=True)
    path = place / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{token_hex(2)}.txt"
    told = _hidden("".join(traceback.format_exception(error)))[-LONGEST:]
    text = f"cloudbackup on Python {sys.version.split()[0]}, {sys.platform}; {where}\n\n{told}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(encodable(text))
    return path


def _hidden(text: str) -> str:
    """Return a text without secrets. A traceback has the lines of our code, and no values but an exception's text."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRETS.sub(r"\1***", text)
