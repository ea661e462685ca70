"""Unforeseen exceptions: bugs, saved to a file for a bug report, and reported as a failure of one app."""

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

from tasks.encodable import encodable
from tasks.errors import CloudbackupError
from tasks.terminal import OutputError

KEPT = 20  # number of files; the oldest are deleted
LONGEST = 256 << 10  # characters of one file
FOLDER = "~/.cache/cloudbackup/crashes"
# Possible secrets in the text of a library's exception: an assignment, a URL's password, a header.
_SECRETS = re.compile(
    r"(?i)((?:[\w-]*(?:pass(?:word|phrase|wd)?|secret|token|key)[\w-]*['\"]?\s*[=:]\s*|bearer\s+|://[^\s/:@]*:)['\"]?)"
    r"([^\s'\"@,;]+)"
)


_known: set[str] = set()


def hide(secret: str) -> None:
    """Keep this text out of all crash files. Texts below 4 characters stay: removing them would garble the rest."""
    if len(secret.strip()) >= 4:
        _known.add(secret.strip())


class UnforeseenError(CloudbackupError):
    """An unforeseen error; the remedy names the file with the details."""


def unforeseen(error: Exception, where: str = "") -> UnforeseenError:
    """Return the error for an unforeseen exception, in the app or place `where`. Its traceback is saved."""
    what = f"unexpected: {type(error).__name__}: {_hidden(str(error))}".strip().rstrip(":")
    what = what.splitlines()[0][:300]
    try:
        remedy = f"a fault of cloudbackup; for a bug report, its traceback is in {_kept(error, where)}"
    except OSError as fault:
        remedy = f"a fault of cloudbackup; its traceback could not be kept: {fault.strerror}"
    return UnforeseenError(f"{where}: {what}" if where else what, remedy)


@contextmanager
def foreseen(where: str = "") -> Iterator[None]:
    """Turn any exception in the block except a CloudbackupError into an UnforeseenError of the app `where`."""
    try:
        yield
    except (CloudbackupError, OutputError, Exit):  # Exit is how a task ends with its own exit code
        raise
    except Exception as error:
        raise unforeseen(error, where) from error


def folder() -> Path:
    """Return the folder of these files: beside borg's caches, in the operator's home."""
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
    """Return a text without secrets. A traceback contains lines of our code, and values only in exception texts."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRETS.sub(r"\1***", text)
