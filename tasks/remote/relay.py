"""Streams a program's output on one host to a script on another: only the bytes pass, programs and secrets do not.

    content -> give -> (socket) -> Relay -> SSH -> give -> (socket) -> take -> reader on the other host

`take` is part of a script on the other host, and reports when it is ready. Sockets are abstract (unix(7)), with names
but no files, and accept connections only from processes of the same user. The stream is sent in pieces, each preceded
by its length; a piece of length zero ends it, so a stream cut off anywhere is recognised as incomplete.
"""

import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tasks.errors import AppError, InterruptedRunError
from tasks.remote.host import Host
from tasks.remote.running import Running
from tasks.remote.script import Script, Stream, quote

PYTHON = ("python3", "-I", "-S", "-c")
PIECE = 1 << 20
PATIENCE = 60  # seconds to wait for the other side to connect
READY = "cloudbackup: ready to take "

_GIVE = """\
import socket, sys
plug = socket.socket(socket.AF_UNIX)
plug.connect("\\0" + sys.argv[1])
while True:
    data = sys.stdin.buffer.read1(1 << 16)
    if not data:
        break
    plug.sendall(data)
"""
_TAKE = f"""\
import os, socket, struct, sys
door = socket.socket(socket.AF_UNIX)
door.bind("\\0" + sys.argv[1])
door.listen(1)
door.settimeout({PATIENCE})
sys.stderr.write("{READY}" + sys.argv[1] + "\\n")
sys.stderr.flush()
while True:
    plug, _ = door.accept()
    if struct.unpack("3i", plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1] == os.geteuid():
        break
    plug.close()
plug.settimeout(None)
pieces = plug.makefile("rb", 1 << 20)
while True:
    head = pieces.read(4)
    length = int.from_bytes(head, "big")
    if len(head) == 4 and not length:
        break
    data = pieces.read(length)
    if len(head) < 4 or len(data) < length:
        sys.exit("cloudbackup: the stream from the operator's machine was cut off")
    sys.stdout.buffer.write(data)
sys.stdout.buffer.flush()
"""


class Relay:
    """One stream in transit. Use `taken` as its source on the other host, and pass that script's messages to `listen`.

    `said` is the standard error of the source's program, once it has ended.
    """

    def __init__(self, source: Host, content: Stream, target: Host) -> None:
        self._source = source
        self._content = content
        self._target = target
        self._name = f"cloudbackup-{secrets.token_hex(16)}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._pass, name="relay", daemon=True)
        self.said = ""

    @property
    def taken(self) -> Stream:
        """Return the stream for a script on the other host, which needs python3."""
        return Stream(quote((*PYTHON, _TAKE, self._name)))

    def listen(self, line: str) -> None:
        """Process a line of the other script's standard error."""
        if line == READY + self._name:
            self._thread.start()

    def end(self) -> None:
        """End the source if it still runs, and wait for it."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _pass(self) -> None:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(f"\0{self._name}-here")
            door.listen(1)
            door.settimeout(PATIENCE)
            give = quote((*PYTHON, _GIVE, f"{self._name}-here"))
            script = Script(f"{{ {self._content.body}\n}} | {give}", self._content.environment)
            with suppress(AppError, InterruptedRunError), self._source.started(script) as running:
                self._send(door, running)

    def _send(self, door: socket.socket, running: Running) -> None:
        """Send what `running` writes; the end marker is sent only if all of it succeeded."""
        channel = self._target.channel((*PYTHON, _GIVE, self._name))
        try:
            for piece in self._pieces(door):
                if channel.exit_code() is not None:  # the reader has ended
                    return
                channel.send(struct.pack(">I", len(piece)) + piece)
            output = running.wait(None, 0, self._ended)
            self.said = output.error_text
            if output.ok:
                channel.send(struct.pack(">I", 0))
            channel.end_input()
            while channel.exit_code() is None and not channel.ended and not self._ended.wait(0.05):
                pass
        finally:
            channel.close()

    def _pieces(self, door: socket.socket) -> Iterator[bytes]:
        plug = _ours(door)
        if plug is None:
            return
        with plug:
            plug.settimeout(1)
            while not self._ended.is_set():
                try:
                    piece = plug.recv(PIECE)
                except TimeoutError:
                    continue
                if not piece:
                    return
                yield piece


def _ours(door: socket.socket) -> socket.socket | None:
    """Return the first connection from our own user."""
    with suppress(TimeoutError):
        while True:
            plug, _ = door.accept()
            if struct.unpack("3i", plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1] == os.geteuid():
                return plug
            plug.close()
    return None


@contextmanager
def relayed(source: Host, content: Stream, target: Host) -> Iterator[Relay]:
    """Run a stream's content on `source` when a script on `target` asks for it. It has ended when the block ends."""
    relay = Relay(source, content, target)
    try:
        yield relay
    finally:
        relay.end()
