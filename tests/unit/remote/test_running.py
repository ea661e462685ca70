"""A program's output, read by one thread and looked at by another."""

import sys
import threading
from collections.abc import Iterator

import pytest

from tasks.remote.channel import STDOUT
from tasks.remote.running import HostError, Running
from tasks.remote.script import Script, render
from tests.integration.remote.support import eventually

LINE = b"ready\n"


class Scripted:
    """A channel whose program writes these pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.ended = False
        self.closed = False

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
        """Note it."""
        self.closed = True


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


@pytest.mark.parametrize(
    ("said", "told", "remedy"),
    [
        (b"This account is currently not available.\n", "This account is currently not available.", "ForceCommand"),
        (b"", "exit code 0", "start files"),
        (b"Welcome\x1b[2J\nfish: Unknown command: bash\n", "fish: Unknown command: bash", "bash must be installed"),
        (b"sh: 1: bash: not found\nwelcome\n", "sh: 1: bash: not found", "bash must be installed"),
        (b"rbash: only sftp\x1b[31m here\n", "only sftp[31m here", "ForceCommand"),
    ],
)
def test_a_script_that_did_not_begin_is_explained_by_what_came_in_its_place(
    said: bytes, told: str, remedy: str
) -> None:
    running = Running(Scripted(iter((said,) if said else ())), "crm", render(Script("true")))
    with pytest.raises(HostError) as caught:
        running.wait(None, 0, threading.Event())
    assert caught.value.what.startswith("crm: cannot run a script there: ")
    assert caught.value.what.endswith(told)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("pieces", [(), (b"no mark\n",), (b"x" * 200,)])
def test_a_channel_is_closed_after_a_fault_too(pieces: tuple[bytes, ...]) -> None:
    channel = Scripted(iter(pieces))
    with pytest.raises(HostError):
        Running(channel, "crm", render(Script("true")), most=100).wait(None, 0, threading.Event())
    assert channel.closed


def test_a_channel_is_closed_for_which_nobody_waits() -> None:
    channel = Scripted(iter((b"line\n",) * 3))
    Running(channel, "crm", render(Script("true"))).abandon()
    assert eventually(lambda: channel.closed)
