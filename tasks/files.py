"""Atomic replacement of files that others read: a web server, a metrics collector, a person, the next run."""

import errno
import os
import secrets
from pathlib import Path

from tasks.errors import AppError


def write_whole(path: Path, text: str, what: str) -> None:
    """Replace the file atomically: readers, also after a power cut, see either the old content or the new one.

    Symlinks stay, an existing file's mode is kept, and anything but a file (a pipe, /dev/stdout) is written to
    directly. `what` names the file in the error. Raises AppError.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        place = path.resolve()
        if place.is_symlink():  # a link to itself
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))  # noqa: TRY301  # the same error as Python 3.11 reports
        replace_whole(place, text.encode())
    except (OSError, RuntimeError) as error:  # RuntimeError: Python 3.11's error for such a link
        why = error.strerror if isinstance(error, OSError) else error
        raise AppError(f"cannot write {what} to {path}: {why}") from error


def replace_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace the file atomically. Its mode is `mode`, else that of the existing file, else the default of a new one.

    Raises OSError.
    """
    if mode is None and path.exists():
        mode = path.stat().st_mode & 0o7777
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # another suffix: a collector reads *.prom
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o700)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                fresh.chmod(mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
