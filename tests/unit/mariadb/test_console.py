"""What a session prints of the client's two streams, however they arrive."""

import re
from typing import TYPE_CHECKING, cast

import pytest

from tasks.mariadb.console import Console
from tasks.remote.channel import STDERR, STDOUT

if TYPE_CHECKING:
    from tasks.remote.host import Host

ERROR = [b"ERROR", b" 1054", b" (42S22)", b" at li", b"ne 3", b": ", b"Unknown column 'nope'\n"]


class Client:
    """A client that answers each statement with the pieces of an error, then the mark that it was asked for."""

    ended = False

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []

    def send(self, data: bytes) -> None:
        mark = re.findall(rb"[0-9a-f]{32}", data)[0]
        line = b"+" + b"-" * 34 + b"+\n"
        table = line + b"| " + mark + b" |\n" + line + b"| " + mark + b" |\n" + line
        first, *rest = [(STDERR, piece) for piece in ERROR]
        self.pieces = [first, (STDOUT, table), *rest]

    def receive(self, _timeout: float) -> list[tuple[int, bytes]]:
        return [self.pieces.pop(0)] if self.pieces else []

    def close(self) -> None:
        self.ended = True


class OneHost:
    def channel(self, _words: tuple[str, ...]) -> Client:
        return Client()


def test_an_error_that_arrives_in_pieces_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["SELECT nope;", "exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    Console(cast("Host", OneHost()), ("mariadb",), "shop").run()
    assert "ERROR 1054 (42S22): Unknown column 'nope'" in capsys.readouterr().out.splitlines()
