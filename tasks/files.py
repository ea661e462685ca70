"""A file that others read while it is replaced: a web server, a collector of metrics, a person, the next run."""

import errno
import os
import secrets
from pathlib import Path

from tasks.errors import AppError


def write_whole(path: Path, text: str, what: str) -> None:
    """Replace the file whole: whoever reads it at this moment, or after a power cut, has the old one or the new one.

    A link stays one, a former file's mode is kept, and what is no file (a pipe, /dev/stdout) is written to. `what`
    it is stands in the error. Raises AppError.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        _replace(path.resolve(), text)
    except (OSError, RuntimeError) as error:  # RuntimeError: what Python 3.11 says of such a link
        why = error.strerror if isinstance(error, OSError) else error
        raise AppError(f"cannot write {what} to {path}: {why}") from error


def _replace(path: Path, text: str) -> None:
    if path.is_symlink():  # resolved, so one that leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # no other suffix: a collector reads *.prom
    try:
        with fresh.open("x", encoding="utf-8") as file:
            if path.exists():
                fresh.chmod(path.stat().st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
