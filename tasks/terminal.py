r"""Makes everything we print safe for a terminal, in one place.

What we print contains names from hosts, archives, storages and files. ESC sequences in them could redraw a screen or
fill a clipboard; bidirectional overrides could reverse a word. While a task runs, everything written to standard output
and standard error passes here; such characters are shown as `\u001b`, which JSON reads as the same character.
"""

import codecs
import errno
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

# Control characters (C0 except tab and line break, DEL, C1), direction marks and overrides, line and paragraph
# separators, invisible letters and tags, unpaired surrogates.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    """Return a text in which tabs and line breaks are the only characters that a terminal acts on."""
    return _OBEYED.sub(_shown, text)


def one_line(text: str) -> str:
    """Return a text as one printable line: output of a host must not look like a line of ours."""
    return printable(" ".join(text.split()))


def whole_line(text: str) -> str:
    """Return a text as one line, columns kept: a name with a line break must not start a new line."""
    return "\\n".join(text.splitlines())


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _unencodable(error: UnicodeError) -> tuple[str, int]:
    r"""Replace characters that an encoding lacks, as Python's `backslashreplace` does, but never by `\xe9`."""
    assert isinstance(error, UnicodeEncodeError)
    return re.sub("(?s).", _shown, error.object[error.start : error.end]), error.end


_ESCAPES = "cloudbackup.escapes"
codecs.register_error(_ESCAPES, _unencodable)
UNWRITABLE = "standard output cannot be written"


class OutputError(Exception):
    """Standard output could not be written, for example because its disk is full."""


class PrintableStream:
    """A text stream that writes printable text only, and nothing more once its reader has closed the pipe.

    `fault` is the reason why something could not be written (a full disk). A closed pipe, as in
    `inv report | head -1`, is not a fault: the work continues, and its exit code shows how it ended.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self.fault: OSError | None = None
        self._closed = False

    def write(self, text: str) -> int:
        """Write a text; return its full length."""
        self.put(printable(text))
        return len(text)

    def put(self, text: str) -> None:
        """Write a text unchanged, except that characters missing from the stream's encoding become escapes."""
        if not self._closed:
            encoding = self.raw.encoding or "utf-8"
            with self._heard():
                self.raw.write(text.encode(encoding, _ESCAPES).decode(encoding))

    def flush(self) -> None:
        """Flush buffered output."""
        if not self._closed:
            with self._heard():
                self.raw.flush()

    @contextmanager
    def _heard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.fault = error
            self._closed = True
            _to_nowhere(self.raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _OwnStream:
    """A stream for our own colours: a PrintableStream that passes them through."""

    def __init__(self, stream: PrintableStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        self._stream.put(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def own(stream: TextIO) -> TextIO:
    """Return the same stream for our own colours: what is written to it must have been made printable before."""
    return cast("TextIO", _OwnStream(stream)) if isinstance(stream, PrintableStream) else stream


@contextmanager
def printing() -> Iterator[None]:
    """Make everything printed in the block printable. Raises OutputError if standard output could not be written."""
    before = sys.stdout, sys.stderr
    with ExitStack() as opened:
        # A stream is None if our parent process closed it.
        raw = [stream or opened.enter_context(Path(os.devnull).open("w", encoding="utf-8")) for stream in before]
        streams = [PrintableStream(stream) for stream in raw]
        sys.stdout, sys.stderr = (cast("TextIO", stream) for stream in streams)
        try:
            with _logs_too(before):
                yield
            sys.stdout.flush()
        except BaseException:
            if streams[0].fault is not None:  # raised even if another error ends the work
                streams[1].write(f"{UNWRITABLE}: {streams[0].fault.strerror}\n")
            raise
        finally:
            sys.stdout, sys.stderr = before
    output = streams[0]
    if output.fault is not None:
        raise OutputError(output.fault.strerror)


@contextmanager
def _logs_too(before: tuple[TextIO | None, TextIO | None]) -> Iterator[None]:
    """Route what libraries log to these streams (as Invoke does with INVOKE_DEBUG) through the printable ones."""
    moved = [
        each for each in logging.root.handlers if isinstance(each, logging.StreamHandler) and each.stream in before
    ]
    streams = [each.setStream(sys.stdout if each.stream is before[0] else sys.stderr) for each in moved]
    try:
        yield
    finally:
        for handler, stream in zip(moved, streams, strict=True):
            handler.setStream(stream)


def _to_nowhere(stream: TextIO) -> None:
    """Discard what Python flushes at exit, or it would print an error about it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
