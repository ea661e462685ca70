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
        place = path.resolve()
        if place.is_symlink():  # one that leads to itself
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))  # noqa: TRY301  # said as what Python 3.11 says of it
        replace_whole(place, text.encode())
    except (OSError, RuntimeError) as error:  # RuntimeError: what Python 3.11 says of such a link
        why = error.strerror if isinstance(error, OSError) else error
        raise AppError(f"cannot write {what} to {path}: {why}") from error


def replace_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace the file whole. Its mode is `mode`, else that of the former file, else what a new one gets.

    Raises OSError.
    """
    if mode is None and path.exists():
        mode = path.stat().st_mode & 0o7777
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # no other suffix: a collector reads *.prom
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
