"""Many small reads over one SFTP session, with many requests in flight.

paramiko's own client waits for each reply, so a hundred files take 8 s at a round trip of 20 ms. The protocol is
version 3, as spoken by OpenSSH (draft-ietf-secsh-filexfer-02).
"""

import errno
import struct
from collections.abc import Callable, Generator, Mapping
from typing import Generic, TypeVar

import paramiko

WINDOW = 64  # files and folders at a time; servers allow some hundreds of open handles
PIECE = 32768  # bytes per read, which every server supports
MOST = 64 << 20  # bytes of one file: the largest is `hints.N` of a repository
LARGEST = 1 << 20  # bytes of one reply: OpenSSH's are 256 KiB at most
NAMES = 1_000_000  # names in one folder

OPEN, CLOSE, READ, OPENDIR, READDIR = 3, 4, 5, 11, 12
STATUS, HANDLE, DATA, NAME = 101, 102, 103, 104
END_OF_FILE, NO_SUCH_FILE = 1, 2
FOR_READING = 1
SIZE, OWNERS, MODE, TIMES, EXTENDED = 1, 2, 4, 8, 0x80000000  # flags: the attributes that a reply contains

Request = tuple[int, bytes]
Answer = tuple[int, bytes]
Result = TypeVar("Result")
Steps = Generator[Request, Answer, tuple[Result, bytes]]  # returns what was read, and the handle to close


def read_all(
    channel: paramiko.Channel, steps: Callable[[str], Steps[Result]], paths: list[str]
) -> Mapping[str, Result | OSError]:
    """Run `steps` (`content` or `listing`) for each path; return each path's result, or its OSError.

    The channel must belong to an idle SFTP session. Raises OSError, EOFError or paramiko.SSHException if the session is
    lost; it cannot be used afterwards.
    """
    return _Batch(channel, steps).run(paths)


def content(path: str) -> Steps[bytes]:
    """Read a file."""
    handle = _handle((yield OPEN, _text(path) + struct.pack(">II", FOR_READING, 0)))
    read = bytearray()
    while True:
        kind, body = yield READ, handle + struct.pack(">QI", len(read), PIECE)
        if kind == STATUS and _code(body) == END_OF_FILE:
            break
        piece = _field(_expected(DATA, kind, body))
        read += piece
        if len(read) > MOST:
            raise OSError(errno.EFBIG, f"larger than {MOST >> 20} MiB")
        if len(piece) < PIECE:
            break
    return bytes(read), handle


def listing(path: str) -> Steps[list[str]]:
    """Read the names in a folder."""
    handle = _handle((yield OPENDIR, _text(path)))
    names: list[str] = []
    while True:
        kind, body = yield READDIR, handle
        if kind == STATUS and _code(body) == END_OF_FILE:
            break
        names += _names(_expected(NAME, kind, body))
        if len(names) > NAMES:
            raise OSError(errno.EFBIG, f"more than {NAMES} names")
    return sorted(set(names) - {".", ".."}), handle


class _Batch(Generic[Result]):
    """The requests in flight, by request id."""

    def __init__(self, channel: paramiko.Channel, steps: Callable[[str], Steps[Result]]) -> None:
        self._channel = channel
        self._steps = steps
        self._numbers = 0
        self._under_way: dict[int, tuple[str, Steps[Result]]] = {}
        self._closing: set[int] = set()
        self._out = bytearray()
        self._in = bytearray()
        self._done: dict[str, Result | OSError] = {}

    def run(self, paths: list[str]) -> dict[str, Result | OSError]:
        waiting = list(dict.fromkeys(paths))[::-1]
        while waiting or self._under_way or self._closing:
            while waiting and len(self._under_way) < WINDOW:
                path = waiting.pop()
                steps = self._steps(path)
                self._ask(path, steps, next(steps))
            self._channel.sendall(bytes(self._out))
            self._out.clear()
            self._receive()
        return self._done

    def _ask(self, path: str, steps: Steps[Result], request: Request) -> None:
        self._under_way[self._put(request)] = (path, steps)

    def _put(self, request: Request) -> int:
        self._numbers += 1
        kind, body = request
        self._out += struct.pack(">IBI", len(body) + 5, kind, self._numbers) + body
        return self._numbers

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
        self._closing.discard(number)
        if number not in self._under_way:
            return
        path, steps = self._under_way.pop(number)
        try:
            self._ask(path, steps, steps.send(answer))
        except StopIteration as end:
            self._done[path], handle = end.value
            self._closing.add(self._put((CLOSE, handle)))
        except OSError as error:  # a handle left open is closed with the session
            self._done[path] = error


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(encoded)) + encoded


def _field(body: bytes, at: int = 0) -> bytes:
    length = int.from_bytes(body[at : at + 4])
    return body[at + 4 : at + 4 + length]


def _code(body: bytes) -> int:
    return int.from_bytes(body[:4])


def _handle(answer: Answer) -> bytes:
    """Return a handle as requests carry it, with its length prefix."""
    body = _expected(HANDLE, *answer)
    return body[: 4 + int.from_bytes(body[:4])]


def _expected(wanted: int, kind: int, body: bytes) -> bytes:
    if kind == wanted:
        return body
    if kind != STATUS:
        raise OSError(errno.EPROTO, f"an answer of kind {kind}")
    said = _field(body, 4).decode(errors="replace") or f"status {_code(body)}"
    if _code(body) == NO_SUCH_FILE:
        raise FileNotFoundError(errno.ENOENT, said)
    raise OSError(errno.EIO, said)


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


def _after_attributes(body: bytes, at: int) -> int:
    flags = int.from_bytes(body[at : at + 4])
    at += 4 + 8 * bool(flags & SIZE) + 8 * bool(flags & OWNERS) + 4 * bool(flags & MODE) + 8 * bool(flags & TIMES)
    if flags & EXTENDED:
        count = int.from_bytes(body[at : at + 4])
        at += 4
        for _ in range(min(2 * count, len(body))):
            at += 4 + int.from_bytes(body[at : at + 4])
    return at
