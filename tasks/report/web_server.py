"""A web server that a flood, or many who say nothing, cannot take all memory of, nor keep others from."""

import socket
import ssl
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

LONGEST = 60.0  # seconds for a question and its answer
AT_ONCE = 32  # questions


class Server(ThreadingHTTPServer):
    """A server whose questions are bounded in number and time; `tls` is what TLS needs, None for plain HTTP."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    tls: ssl.SSLContext | None = None
    places: threading.BoundedSemaphore

    def server_bind(self) -> None:
        """Bind alone: HTTPServer also asks the name service for its own name, which can take long."""
        TCPServer.server_bind(self)
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self._silent: dict[Any, None] = {}  # connections whose question has not come, the oldest first
        self._lock = threading.Lock()

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; what TLS has to say is said in its own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread. While all places are taken nobody is answered, or a flood would take all memory.

        Whoever holds a place without asking anything loses it to the next one.
        """
        if not self.places.acquire(blocking=False):
            self._end_oldest()
            if not self.places.acquire(timeout=1):
                self.shutdown_request(request)
                return
        with self._lock:
            self._silent[request] = None
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer; who is slower than LONGEST is cut off, whatever comes meanwhile."""
        timer = threading.Timer(LONGEST, _cut, (request,))
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self.heard(request)
            self.places.release()

    def heard(self, request: Any) -> None:
        """Take note that a question has come whole."""
        with self._lock:
            self._silent.pop(request, None)

    def _end_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._silent), None)
            if oldest is not None:
                del self._silent[oldest]
                _cut(oldest)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a question that broke off."""


def of(family: socket.AddressFamily, tls: ssl.SSLContext | None) -> type[Server]:
    """Return the class of servers for this kind of address."""
    return type("Listening", (Server,), {"address_family": family, "tls": tls})


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
