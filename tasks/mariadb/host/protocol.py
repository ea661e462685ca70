"""Asks a server by its client/server protocol, so that types and NULL are known: a client's text has neither.

Written from https://mariadb.com/kb/en/clientserver-protocol/, for a server that we started ourselves (MariaDB 10.11 to
11.8), by its socket, with an account that has a password (mysql_native_password). The server can request no file: we
do not say that we could send one. Part of what is sent to a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import math
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    Value = None | int | float | str

# Capabilities: long passwords, protocol 4.1, transactions, secure connection, several results, authentication plugins.
CAPABILITIES = 1 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19
UTF8MB4 = 45  # collation utf8mb4_general_ci
LONGEST = (1 << 24) - 1  # bytes of a packet; a longer message goes on in the next one
QUERY = b"\x03"
MORE = 8  # server status: another result follows
NATIVE = b"mysql_native_password"
INTEGERS = {1, 2, 3, 8, 9, 13}
FLOATS = {4, 5}
DECIMALS = {0, 246}
STRINGS = {15, 16, *range(249, 256)}  # binary if their collation is 63
BINARY = 63


class Refused(Exception):  # noqa: N818 (what a server answers)
    """The server refuses a statement; the text is its own."""


class Column(NamedTuple):
    """A column of a result: its name, and `integer`, `float`, `decimal`, `binary` or `text`."""

    name: str
    kind: str


class Connection:
    """A session of an account. Raises OSError, Refused."""

    def __init__(self, path: str, user: str, password: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._stream = self._socket.makefile("rb", 1 << 16)
        self._sequence = 0
        self._log_in(user.encode(), password.encode())

    def ask(self, statement: str) -> Iterator[tuple[list[Column], Iterator[list[Value]]]]:
        """Yield the columns of each result of a statement, and its rows; a statement without a result yields nothing.

        The rows of one must have been read before the next. Raises Refused.
        """
        self._sequence = 0
        self._send(QUERY + statement.encode())
        more = True
        while more:
            first = self._receive()
            if first[0] == 0:
                _, at = _number(first, 1)
                _, at = _number(first, at)
                more = bool(int.from_bytes(first[at : at + 2], "little") & MORE)
                continue
            if first[0] == 0xFB:
                raise Refused("it asks for a file of this machine")
            columns = [self._column() for _ in range(_number(first, 0)[0])]
            self._receive()  # the end of the columns
            rows = Rows(self, columns)
            yield columns, iter(rows)
            more = rows.more

    def close(self) -> None:
        """End the session."""
        self._stream.close()
        self._socket.close()

    def row(self) -> bytes | None:
        """Return the next row's packet; None at the end, with the server's status. Raises Refused."""
        packet = self._receive()
        if packet[0] == 0xFE and len(packet) < 9:
            self.status = int.from_bytes(packet[3:5], "little")
            return None
        return packet

    def _log_in(self, user: bytes, password: bytes) -> None:
        hello = self._receive()
        at = hello.index(b"\0", 1) + 5
        salt = hello[at : at + 8]
        length = hello[at + 16]
        at += 27
        salt += hello[at : at + max(13, length - 8)]
        answer = _scrambled(password, salt[:20])
        head = CAPABILITIES.to_bytes(4, "little") + LONGEST.to_bytes(4, "little") + bytes([UTF8MB4]) + bytes(23)
        self._send(head + user + b"\0" + bytes([len(answer)]) + answer + NATIVE + b"\0")
        said = self._receive()
        if said[0] == 0xFE:  # the server begins with another plugin
            plugin, _, rest = said[1:].partition(b"\0")
            if plugin != NATIVE:
                raise Refused(f"it wants the account to authenticate by {plugin.decode(errors='replace')}")
            self._send(_scrambled(password, rest[:20]))
            self._receive()

    def _send(self, message: bytes) -> None:
        for start in range(0, len(message) + 1, LONGEST):
            piece = message[start : start + LONGEST]
            self._socket.sendall(len(piece).to_bytes(3, "little") + bytes([self._sequence]) + piece)
            self._sequence = (self._sequence + 1) % 256

    def _receive(self) -> bytes:
        message = b""
        while True:
            head = self._exactly(4)
            length = int.from_bytes(head[:3], "little")
            self._sequence = (head[3] + 1) % 256
            message += self._exactly(length)
            if length < LONGEST:
                break
        if not message:
            raise Refused("it answers nothing")
        if message[0] == 0xFF:
            state = message[4:9].decode(errors="replace") if message[3:4] == b"#" else ""
            text = message[9:] if state else message[3:]
            raise Refused(f"ERROR {int.from_bytes(message[1:3], 'little')} ({state}): {text.decode(errors='replace')}")
        return message

    def _exactly(self, count: int) -> bytes:
        found: bytes = self._stream.read(count)
        if len(found) < count:
            raise Refused("it ended the connection")
        return found

    def _column(self) -> Column:
        packet = self._receive()
        at, texts = 0, []
        for _ in range(6):
            text, at = _text(packet, at)
            texts.append(text or b"")
        collation = int.from_bytes(packet[at + 1 : at + 3], "little")
        return Column(texts[4].decode(errors="replace"), _kind(packet[at + 7], collation))


class Rows:
    """The rows of one result, each a list of values; `more` says, once all are read, whether another result follows."""

    def __init__(self, connection: Connection, columns: list[Column]) -> None:
        self._connection = connection
        self._columns = columns
        self.more = False

    def __iter__(self) -> Iterator[list[Value]]:
        """Yield each row."""
        packet = self._connection.row()
        while packet is not None:
            at, values = 0, []
            for column in self._columns:
                text, at = _text(packet, at)
                values.append(_value(text, column.kind))
            yield values
            packet = self._connection.row()
        self.more = bool(self._connection.status & MORE)


def _kind(number: int, collation: int) -> str:
    for kind, numbers in (("integer", INTEGERS), ("float", FLOATS), ("decimal", DECIMALS)):
        if number in numbers:
            return kind
    return "binary" if number in STRINGS and collation == BINARY else "text"


def _value(text: bytes | None, kind: str) -> Value:
    """Return a value: a decimal as its text, as a float would round it; binary as 0x and hexadecimal digits."""
    if text is None:
        return None
    if kind == "integer":
        return int(text)
    if kind == "float":
        number = float(text)
        return number if math.isfinite(number) else text.decode()
    return f"0x{text.hex().upper()}" if kind == "binary" else text.decode(errors="replace")


def _scrambled(password: bytes, salt: bytes) -> bytes:
    once = hashlib.sha1(password).digest()  # noqa: S324 (the protocol's own)
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask))  # noqa: B905 (`strict` is of Python 3.10)


def _number(packet: bytes, at: int) -> tuple[int, int]:
    """Return a length-encoded number and the position after it."""
    first = packet[at]
    if first < 0xFB:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(packet[at + 1 : at + 1 + size], "little"), at + 1 + size


def _text(packet: bytes, at: int) -> tuple[bytes | None, int]:
    """Return a length-encoded text, None for NULL, and the position after it."""
    if packet[at] == 0xFB:
        return None, at + 1
    length, at = _number(packet, at)
    return packet[at : at + length], at + length
