"""A running program, local or remote: bytes in, two output streams, an exit code. One interface for both."""

import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from os import killpg
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import paramiko

STDOUT, STDERR = 1, 2
PIECE = 1 << 16


class Channel(Protocol):
    """A started program. `receive` returns pieces of its two streams; nothing received and `ended` means the end."""

    def send(self, data: bytes) -> None: ...
    def end_input(self) -> None: ...
    def receive(self, timeout: float) -> list[tuple[int, bytes]]: ...
    def exit_code(self) -> int | None: ...
    @property
    def ended(self) -> bool: ...
    def close(self) -> None: ...


class SshChannel:
    """A session channel of an SSH connection, in which a program was started.

    Fabric's own `run` is not used: it feeds standard input one byte per 10 ms (tried, fabric 3.2.3).
    """

    def __init__(self, channel: "paramiko.Channel") -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        """Send to standard input. A program that has ended ignores it; its exit code shows why it ended."""
        with suppress(OSError):
            self._channel.sendall(data)

    def end_input(self) -> None:
        """Close standard input."""
        with suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def receive(self, timeout: float) -> list[tuple[int, bytes]]:
        """Return what has arrived, waiting at most `timeout` seconds."""
        select.select([self._channel], [], [], timeout)
        pieces = []
        if self._channel.recv_ready():
            pieces.append((STDOUT, self._channel.recv(PIECE)))
        if self._channel.recv_stderr_ready():
            pieces.append((STDERR, self._channel.recv_stderr(PIECE)))
        return pieces

    def exit_code(self) -> int | None:
        """Return the exit code, or None while there is none; after a lost connection it stays None."""
        if not self._channel.exit_status_ready():
            return None
        code = self._channel.recv_exit_status()
        return None if code == -1 else code

    @property
    def ended(self) -> bool:
        """Return whether no more output can arrive."""
        transport = self._channel.get_transport()
        return bool(
            self._channel.closed or self._channel.eof_received or transport is None or not transport.is_active()
        )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class LocalChannel:
    """A program on this machine, in its own process group, as sshd would start it."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._selector = DefaultSelector()
        for stream, number in ((self._process.stdout, STDOUT), (self._process.stderr, STDERR)):
            assert stream is not None
            self._selector.register(stream, EVENT_READ, number)

    def send(self, data: bytes) -> None:
        """Send to standard input. A program that has ended ignores it; its exit code shows why it ended."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def end_input(self) -> None:
        """Close standard input."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def receive(self, timeout: float) -> list[tuple[int, bytes]]:
        """Return what has arrived, waiting at most `timeout` seconds."""
        pieces = []
        for key, _ in self._selector.select(timeout):
            piece = key.fileobj.read1(PIECE)  # type: ignore[union-attr]
            if piece:
                pieces.append((key.data, piece))
            else:
                self._selector.unregister(key.fileobj)
        return pieces

    def exit_code(self) -> int | None:
        """Return the exit code, None while it runs; a signal as 128 + its number, as a shell reports it."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def ended(self) -> bool:
        """Return whether no more output can arrive."""
        return not self._selector.get_map()

    def close(self) -> None:
        """Make sure that none of its processes is still running."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with suppress(OSError):
                stream.close()
