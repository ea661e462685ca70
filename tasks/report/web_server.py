"""A web server with limits, so that floods or silent connections can neither exhaust memory nor lock others out."""

import socket
import ssl
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

LONGEST = 60.0  # seconds for a request and its answer
AT_ONCE = 32  # requests at a time


class Server(ThreadingHTTPServer):
    """A server whose requests are limited in number and time; `tls` is the TLS context, None for plain HTTP."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    tls: ssl.SSLContext | None = None
    places: threading.BoundedSemaphore

    def server_bind(self) -> None:
        """Only bind: HTTPServer also resolves its own name, which can take long."""
        TCPServer.server_bind(self)
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self._silent: dict[Any, None] = {}  # connections that have not sent a request yet, oldest first
        self._lock = threading.Lock()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its TLS handshake runs in its own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread. While all places are taken, no request is answered, or a flood would exhaust memory.

        A connection that holds a place without sending a request loses it to the next one.
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
        """Answer; a request that takes longer than LONGEST is cut off."""
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
        """Note that a request has arrived completely."""
        with self._lock:
            self._silent.pop(request, None)

    def _end_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._silent), None)
            if oldest is not None:
                del self._silent[oldest]
                _cut(oldest)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log broken connections."""


def of(family: socket.AddressFamily, tls: ssl.SSLContext | None) -> type[Server]:
    """Return the server class for this address family."""
    return type("Listening", (Server,), {"address_family": family, "tls": tls})


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
