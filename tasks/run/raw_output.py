"""Content as it is on standard output or in a file of one's own; on a terminal, made printable."""

import codecs
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tasks.errors import AppError, UsageError


class Receiver:
    """Writes pieces of content. If one cannot be written, `fault` says why, and `full` is set: no more are taken."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.full = threading.Event()
        self.fault: OSError | None = None
        self.count = 0

    def take(self, piece: bytes) -> None:
        """Write a piece. Raises nothing."""
        if self.fault is not None:
            return
        try:
            if self._stream is None:
                sys.stdout.write(self._decoder.decode(piece))
            else:
                self._stream.write(piece)
            self.count += len(piece)
        except OSError as error:
            self.fault = error
            self.full.set()

    def end(self) -> None:
        """Write what is held back."""
        try:
            if self._stream is not None and self.fault is None:
                self._stream.flush()
        except OSError as error:
            self.fault = error


def standard_output() -> IO[bytes] | None:
    """Return standard output for bytes; None if it takes text only, or is a terminal, which would act on it."""
    raw: Any = getattr(sys.stdout, "raw", sys.stdout)
    return None if sys.stdout.isatty() else getattr(raw, "buffer", None)


def write(text: str) -> None:
    """Write a text to standard output: unchanged, unless it is a terminal. Raises AppError."""
    receiver = Receiver(standard_output())
    receiver.take(text.encode())
    receiver.end()
    _require(receiver, "standard output")


@contextmanager
def whole(target: str) -> Iterator[Receiver]:
    """Yield a receiver for a new file, 0600, which is there once the block has ended well, or for standard output.

    `target` is the file, empty for standard output. Raises UsageError if there is one already, AppError.
    """
    if not target:
        with _taking(Receiver(standard_output()), "standard output") as receiver:
            yield receiver
        return
    path = Path(target).expanduser().absolute()
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already", "name a new file: --target")
    fresh = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with _taking(Receiver(file), str(path)) as receiver:
                yield receiver
            os.fsync(file.fileno())
        os.link(fresh, path)  # unlike a rename, it replaces nothing
    except OSError as error:
        raise AppError(f"cannot write {path}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _taking(receiver: Receiver, what: str) -> Iterator[Receiver]:
    """Yield the receiver. Raises AppError if something could not be written, whatever else failed for it."""
    try:
        yield receiver
        receiver.end()
    finally:
        _require(receiver, what)


def _require(receiver: Receiver, what: str) -> None:
    if isinstance(receiver.fault, BrokenPipeError):
        raise AppError(f"{what} was closed before everything was written: what was read of it is cut short")
    if receiver.fault is not None:
        raise AppError(f"{what} cannot be written: {receiver.fault.strerror}")
