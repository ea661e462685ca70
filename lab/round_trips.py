"""A TCP proxy that counts round trips in a row, and makes each of them last longer."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

PIECE = 1 << 16
HALF = 0.02  # seconds by which each direction is late: what is sent together arrives together on a busy machine too


@dataclass
class Connection:
    """One connection. What its client sends after it has heard something of round trip N belongs to N + 1."""

    trips: int = 0
    _asked: int = 0  # the latest round trip of which the server has heard
    _answered: int = 0  # the latest round trip of which the client has heard

    def sent(self) -> int:
        """Note that the client sent something; return its round trip."""
        self.trips = max(self.trips, self._answered + 1)
        return self._answered + 1

    def came(self, trip: int) -> None:
        """Note that the server gets something of a round trip."""
        self._asked = max(self._asked, trip)

    def answered(self) -> int:
        """Note that the server sent something; return its round trip."""
        return self._asked

    def heard(self, trip: int) -> None:
        """Note that the client gets something of a round trip."""
        self._answered = max(self._answered, trip)


class RoundTrips:
    """A proxy before a port of this machine, in threads of this process until the block ends."""

    def __init__(self, port: int, half: float = HALF) -> None:
        self._to = port
        self._half = half
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.connections: list[Connection] = []

    def __enter__(self) -> "RoundTrips":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                one = Connection()
                self.connections.append(one)
                server = socket.create_connection(("127.0.0.1", self._to))
                self._carry(client, server, one.sent, one.came)
                self._carry(server, client, one.answered, one.heard)

    def _carry(
        self, source: socket.socket, target: socket.socket, left: Callable[[], int], arrived: Callable[[int], None]
    ) -> None:
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        under_way: queue.Queue[tuple[float, int, bytes]] = queue.Queue()

        def receive() -> None:
            piece = b"first"
            while piece:
                try:
                    piece = source.recv(PIECE)
                except OSError:
                    piece = b""
                under_way.put((time.monotonic() + self._half, left() if piece else 0, piece))

        def deliver() -> None:
            with contextlib.suppress(OSError):
                while True:
                    due, trip, piece = under_way.get()
                    time.sleep(max(due - time.monotonic(), 0))
                    if not piece:
                        target.shutdown(socket.SHUT_WR)
                        return
                    arrived(trip)
                    target.sendall(piece)

        for each in (receive, deliver):
            threading.Thread(target=each, daemon=True).start()
