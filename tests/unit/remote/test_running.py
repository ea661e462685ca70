"""A program's output, read by one thread and looked at by another."""

import sys
from collections.abc import Iterator

import pytest

from tasks.remote.channel import STDOUT
from tasks.remote.running import Running

LINE = b"ready\n"


class Scripted:
    """A channel whose program writes these pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.ended = False

    def receive(self, timeout: float) -> list[tuple[int, bytes]]:  # noqa: ARG002
        piece = next(self._pieces, None)
        self.ended = piece is None
        return [(STDOUT, piece)] if piece is not None else []

    def exit_code(self) -> int | None:
        return 0 if self.ended else None

    def send(self, data: bytes) -> None:
        """Take it."""

    def end_input(self) -> None:
        """Take no more."""

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_output_may_come_while_a_line_is_awaited() -> None:
    pieces = [b"x" * 20_000 + b"\n"] * 1000 + [LINE]
    for _ in range(5):
        running = Running(Scripted(iter(pieces)), "here", None)
        assert running.wait_for(LINE, 60)
        assert running._ended.wait(60)
        assert running._fault is None
        assert bytes(running._streams[STDOUT]) == b"".join(pieces)
