r"""What people read of us, without what a terminal obeys: the one place that makes text printable.

Hosts, archives, storages and files' names are in what we print. ESC sequences in them could redraw a screen or fill a
clipboard, bidirectional overrides turn a word round. While a task runs all that goes to standard output and standard
error passes here; such characters are shown as `\u001b`, which JSON reads as the same character.
"""

import errno
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

# Control characters (C0 but tab and line break, DEL, C1), marks and overrides of direction, line and paragraph
# separators, invisible letters and tags, halves of pairs.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    """Return a text whose tabs and line breaks are all that a terminal obeys."""
    return _OBEYED.sub(_shown, text)


def one_line(text: str) -> str:
    """Return a text as one printable line: what a host says must not look like a line of ours."""
    return printable(" ".join(text.split()))


def whole_line(text: str) -> str:
    """Return a text as one line, its columns kept: a name with a line break must not begin a line of its own."""
    return "\\n".join(text.splitlines())


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


UNWRITABLE = "standard output cannot be written"


class OutputError(Exception):
    """Standard output could not take what was printed: its disk is full, perhaps."""


class PrintableStream:
    """A text stream that writes what is printable, and nothing more once whoever read from it has gone.

    `fault` is why something could not be written (a full disk); a reader that has gone, as in `inv report | head -1`,
    is no fault: the work goes on, and its exit code says how it ended.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self.fault: OSError | None = None
        self._closed = False

    def write(self, text: str) -> int:
        """Write a text; the length of all of it."""
        self.put(printable(text))
        return len(text)

    def put(self, text: str) -> None:
        """Write a text as it stands; letters that the stream's encoding does not have are shown by their numbers."""
        if not self._closed:
            encoding = self.raw.encoding or "utf-8"
            with self._heard():
                self.raw.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Write what is still kept back."""
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
    """What our own colours are written to: a PrintableStream that shows them as they are."""

    def __init__(self, stream: PrintableStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; the length of it."""
        self._stream.put(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def own(stream: TextIO) -> TextIO:
    """Return the same stream for our own colours: what is written there must have been made printable before."""
    return cast("TextIO", _OwnStream(stream)) if isinstance(stream, PrintableStream) else stream


@contextmanager
def printing() -> Iterator[None]:
    """Let all that is printed in the block be printable. Raises OutputError when standard output could not take it."""
    before = sys.stdout, sys.stderr
    with ExitStack() as opened:
        # There is none at all where whoever started us closed it.
        raw = [stream or opened.enter_context(Path(os.devnull).open("w", encoding="utf-8")) for stream in before]
        streams = [PrintableStream(stream) for stream in raw]
        sys.stdout, sys.stderr = (cast("TextIO", stream) for stream in streams)
        try:
            with _logs_too(before):
                yield
            sys.stdout.flush()
        except BaseException:
            if streams[0].fault is not None:  # beside whatever ends the work
                streams[1].write(f"{UNWRITABLE}: {streams[0].fault.strerror}\n")
            raise
        finally:
            sys.stdout, sys.stderr = before
    output = streams[0]
    if output.fault is not None:
        raise OutputError(output.fault.strerror)


@contextmanager
def _logs_too(before: tuple[TextIO | None, TextIO | None]) -> Iterator[None]:
    """Let what libraries log to these streams (Invoke's INVOKE_DEBUG asks them to) pass where all else does."""
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
    """Let what Python still flushes at its end go nowhere, or it would complain of it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
