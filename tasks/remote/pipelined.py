"""Reads and writes over one SFTP session with many requests in flight.

paramiko's own client waits for each reply, so a hundred files take 8 s at a round trip of 20 ms. The protocol is
version 3, as spoken by OpenSSH (draft-ietf-secsh-filexfer-02).
"""

import errno
import struct
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import count
from typing import Generic, TypeVar

import paramiko

WINDOW = 64  # files and folders at a time; servers allow some hundreds of open handles
PIECE = 32768  # bytes per read, which every server supports
MOST = 64 << 20  # bytes of one file: the largest is `hints.N` of a repository
LARGEST = 1 << 20  # bytes of one reply: OpenSSH's are 256 KiB at most
NAMES = 1_000_000  # names in one folder

OPEN, CLOSE, READ, WRITE, FSTAT, FSETSTAT, OPENDIR, READDIR, REMOVE, STAT, EXTEND = (
    3,
    4,
    5,
    6,
    8,
    10,
    11,
    12,
    13,
    17,
    200,
)
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
WELL, END_OF_FILE, NO_SUCH_FILE, PERMISSION_DENIED, BAD_MESSAGE, UNSUPPORTED = 0, 1, 2, 3, 5, 8
NOT_OFFERED = (UNSUPPORTED, BAD_MESSAGE, PERMISSION_DENIED)  # how servers answer a request that they do not serve
FOR_READING = 1
FOR_WRITING_ANEW = 2 | 8 | 32  # write, create, fail if it exists
FOR_WRITING_OVER = 2 | 8 | 16  # write, create, empty it first
FOR_WRITING_ON = 2  # write into what is there
FSYNC = b"fsync@openssh.com"  # OpenSSH's PROTOCOL, 4.2: takes a handle
SIZE, OWNERS, MODE, TIMES, EXTENDED = 1, 2, 4, 8, 0x80000000  # flags: the attributes that a reply contains

Request = tuple[int, bytes]
Answer = tuple[int, bytes]
Result = TypeVar("Result")
# Yields requests to be sent together, and receives their answers in the same order. Returns the result, and a handle to
# close without waiting for it, if one is left.
Steps = Generator[Sequence[Request], Sequence[Answer], tuple[Result, bytes | None]]


class Session:
    """An SFTP session that paramiko's client opened, used beside it: the two must take turns.

    Handles are closed together with the next requests, and nobody waits for the replies. Both sides skip replies with
    numbers that they do not expect; paramiko counts its own requests from 1.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._numbers = count(1 << 30)
        self._to_close: list[bytes] = []

    def run(self, steps: Mapping[str, Steps[Result]]) -> dict[str, Result | OSError]:
        """Run all steps, with many requests in flight; return what each returned, or its OSError.

        Raises OSError, EOFError or paramiko.SSHException if the session is lost; it cannot be used afterwards.
        """
        return _Batch(self._channel, self._numbers, self._to_close, steps).run()


def content(path: str, most: int | None = None) -> Steps[bytes]:
    """Read a file, or at least its first `most` bytes."""
    handle = _handle(*(yield [(OPEN, _text(path) + struct.pack(">II", FOR_READING, 0))]))
    read = bytearray()
    while most is None or len(read) < most:
        ((kind, body),) = yield [(READ, handle + struct.pack(">QI", len(read), PIECE))]
        if kind == STATUS and _code(body) == END_OF_FILE:
            break
        piece = _field(_expected(DATA, kind, body))
        read += piece
        if len(read) > MOST:
            raise OSError(errno.EFBIG, f"larger than {MOST >> 20} MiB")
        if len(piece) < PIECE:
            break
    return bytes(read[:most]), handle


def piece(path: str, at: int, size: int) -> Steps[bytes]:
    """Read at most `size` bytes of a file from byte `at` on, with all requests in flight at once."""
    handle = _handle(*(yield [(OPEN, _text(path) + struct.pack(">II", FOR_READING, 0))]))
    places = range(at, at + size, PIECE)
    asked = [min(PIECE, at + size - place) for place in places]
    answers = yield [
        (READ, handle + struct.pack(">QI", place, most)) for place, most in zip(places, asked, strict=True)
    ]
    read = bytearray()
    for (kind, body), most in zip(answers, asked, strict=True):
        if kind == STATUS and _code(body) == END_OF_FILE:
            break
        got = _field(_expected(DATA, kind, body))
        read += got
        if len(got) < most:  # what follows would leave a hole
            break
    return bytes(read), handle


def length(path: str) -> Steps[int]:
    """Ask for a file's size in bytes."""
    (answer,) = yield [(STAT, _text(path))]
    body = _expected(ATTRS, *answer)
    if not int.from_bytes(body[:4]) & SIZE or len(body) < 12:
        raise OSError(errno.EPROTO, "an answer without a size")
    return int.from_bytes(body[4:12]), None


def listing(path: str) -> Steps[list[str]]:
    """Read the names in a folder. The end of most is asked for together with the names."""
    handle = _handle(*(yield [(OPENDIR, _text(path))]))
    names: list[str] = []
    while True:
        answers = yield [(READDIR, handle)] * 2
        ends = [kind == STATUS and _code(body) == END_OF_FILE for kind, body in answers]
        for (kind, body), end in zip(answers, ends, strict=True):
            names += [] if end else _names(_expected(NAME, kind, body))
        if any(ends):
            return sorted(set(names) - {".", ".."}), handle
        if len(names) > NAMES:
            raise OSError(errno.EFBIG, f"more than {NAMES} names")


def writing(path: str, data: bytes, mode: int, how: int = FOR_WRITING_ANEW, at: int = 0) -> Steps[None]:
    """Write a file, or a part of it from byte `at` on. When all has been answered, it is whole, with its mode, and on
    the disk if the server can do that. An error may leave a part of it.
    """
    attributes = struct.pack(">II", MODE, mode)
    handle = _handle(*(yield [(OPEN, _text(path) + struct.pack(">I", how) + attributes)]))
    pieces = range(0, len(data), PIECE)
    requests = [
        (WRITE, handle + struct.pack(">Q", at + begin) + _bytes(data[begin : begin + PIECE])) for begin in pieces
    ]
    last = [(FSETSTAT, handle + attributes), (EXTEND, _bytes(FSYNC) + handle), (CLOSE, handle)]
    *written, synced, closed = yield [*requests, *last]
    for answer in (*written, closed):
        _done(*answer)
    if not (synced[0] == STATUS and _code(synced[1]) in NOT_OFFERED):
        _done(*synced)
    return None, None


def dated(path: str) -> Steps[float | None]:
    """Make an empty file and remove it; return the time that the server gave it, None if it does not tell."""
    handle = _handle(*(yield [(OPEN, _text(path) + struct.pack(">III", FOR_WRITING_ANEW, MODE, 0o600))]))
    attributes, closed, removed = yield [(FSTAT, handle), (CLOSE, handle), (REMOVE, _text(path))]
    for answer in (closed, removed):
        _done(*answer)
    return _modified(_expected(ATTRS, *attributes)), None


class _Batch(Generic[Result]):
    """The steps under way, and the requests in flight by number."""

    def __init__(
        self,
        channel: paramiko.Channel,
        numbers: Iterator[int],
        to_close: list[bytes],
        steps: Mapping[str, Steps[Result]],
    ) -> None:
        self._channel = channel
        self._numbers = numbers
        self._to_close = to_close
        self._steps = steps
        self._asked: dict[int, str] = {}
        self._answers: dict[str, dict[int, Answer | None]] = {}  # in the order of the requests; None is still missing
        self._out = bytearray()
        self._in = bytearray()
        self._done: dict[str, Result | OSError] = {}

    def run(self) -> dict[str, Result | OSError]:
        waiting = list(self._steps)[::-1]
        while waiting or self._answers or self._in:  # the other client cannot read the rest of a reply
            while waiting and len(self._answers) < WINDOW:
                path = waiting.pop()
                self._ask(path, next(self._steps[path]))
            self._send()
            if self._answers or self._in:
                self._receive()
        return self._done

    def _send(self) -> None:
        """Send the requests, and close what has been read meanwhile."""
        if not self._out and len(self._to_close) < WINDOW:
            return
        closing, self._to_close[:] = list(self._to_close), []
        for handle in closing:
            self._put((CLOSE, handle))
        self._channel.sendall(bytes(self._out))
        self._out.clear()

    def _ask(self, path: str, requests: Sequence[Request]) -> None:
        numbers = [self._put(request) for request in requests]
        self._asked |= dict.fromkeys(numbers, path)
        self._answers[path] = dict.fromkeys(numbers)

    def _put(self, request: Request) -> int:
        number = next(self._numbers)
        kind, body = request
        self._out += struct.pack(">IBI", len(body) + 5, kind, number) + body
        return number

    def _receive(self) -> None:
        """Wait for replies, and process all that have arrived."""
        piece = self._channel.recv(1 << 18)
        if not piece:
            raise EOFError("the SFTP session ended")
        self._in += piece
        while len(self._in) >= 4:
            length = int.from_bytes(self._in[:4])
            if not 5 <= length <= LARGEST:
                raise EOFError(f"the SFTP server sent an answer of {length} bytes")
            if len(self._in) < length + 4:
                return
            kind, number = struct.unpack_from(">BI", self._in, 4)
            body = bytes(self._in[9 : length + 4])
            del self._in[: length + 4]
            self._answered(number, (kind, body))

    def _answered(self, number: int, answer: Answer) -> None:
        path = self._asked.pop(number, None)
        if path is None:  # of a handle that was closed
            return
        answers = self._answers[path]
        answers[number] = answer
        got = [each for each in answers.values() if each is not None]
        if len(got) == len(answers):
            del self._answers[path]
            self._continue(path, got)

    def _continue(self, path: str, answers: Sequence[Answer]) -> None:
        try:
            self._ask(path, self._steps[path].send(answers))
        except StopIteration as end:
            self._done[path], handle = end.value
            if handle is not None:
                self._to_close.append(handle)
        except OSError as error:  # a handle left open is closed with the session
            self._done[path] = error


def _text(text: str) -> bytes:
    return _bytes(text.encode("utf-8", "surrogateescape"))


def _bytes(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _field(body: bytes, at: int = 0) -> bytes:
    length = int.from_bytes(body[at : at + 4])
    return body[at + 4 : at + 4 + length]


def _code(body: bytes) -> int:
    return int.from_bytes(body[:4])


def _handle(answer: Answer) -> bytes:
    """Return a handle as requests carry it, with its length prefix."""
    body = _expected(HANDLE, *answer)
    return body[: 4 + int.from_bytes(body[:4])]


def _expected(expected: int, kind: int, body: bytes) -> bytes:
    if kind == expected:
        return body
    if kind != STATUS:
        raise OSError(errno.EPROTO, f"an answer of kind {kind}")
    said = _field(body, 4).decode(errors="replace") or f"status {_code(body)}"
    if _code(body) == NO_SUCH_FILE:
        raise FileNotFoundError(errno.ENOENT, said)
    if _code(body) == PERMISSION_DENIED:
        raise PermissionError(errno.EACCES, said)
    raise OSError(errno.EIO, said)


def _done(kind: int, body: bytes) -> None:
    """Raise OSError unless the answer says that it was done."""
    if kind != STATUS or _code(body) != WELL:
        _expected(WELL, kind, body)


def _names(body: bytes) -> list[str]:
    names, at = [], 4
    for _ in range(int.from_bytes(body[:4])):
        if at >= len(body):
            raise OSError(errno.EPROTO, "an answer that is shorter than it says")
        name = _field(body, at)
        at += 4 + len(name)
        at += 4 + int.from_bytes(body[at : at + 4])  # the longname, a line as `ls -l` prints it
        at = _after_attributes(body, at)
        names.append(name.decode("utf-8", "surrogateescape"))
    return names


def _modified(body: bytes) -> float | None:
    """Return the modification time in attributes."""
    flags = int.from_bytes(body[:4])
    at = 4 + 8 * bool(flags & SIZE) + 8 * bool(flags & OWNERS) + 4 * bool(flags & MODE)
    return int.from_bytes(body[at + 4 : at + 8]) if flags & TIMES and len(body) >= at + 8 else None


def _after_attributes(body: bytes, at: int) -> int:
    flags = int.from_bytes(body[at : at + 4])
    at += 4 + 8 * bool(flags & SIZE) + 8 * bool(flags & OWNERS) + 4 * bool(flags & MODE) + 8 * bool(flags & TIMES)
    if flags & EXTENDED:
        count = int.from_bytes(body[at : at + 4])
        at += 4
        for _ in range(min(2 * count, len(body))):
            at += 4 + int.from_bytes(body[at : at + 4])
    return at
