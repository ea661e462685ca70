"""A proxy before the S3 server that asks clients to slow down, as Hetzner's Object Storage does under parallel uploads:
`503 SlowDown` (https://github.com/goharbor/harbor/issues/23005).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab.s3 import S3Server

ANSWER = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_OF_ONE_CONNECTION = ("connection", "transfer-encoding", "keep-alive")


class SlowDown:
    """The switch: of all requests with one of `methods` every so manieth is refused, 1 for all, 0 for none.

    `refused` counts them. `endpoint` is the proxy's address.
    """

    def __init__(self, endpoint: str, every: int, methods: tuple[str, ...]) -> None:
        self.endpoint = endpoint
        self.every = every
        self.methods = methods
        self.refused = 0
        self._seen = 0
        self._lock = threading.Lock()

    def refuses(self, method: str) -> bool:
        """Count a request and tell whether it is to be refused."""
        with self._lock:
            self._seen += method in self.methods
            refused = method in self.methods and self.every > 0 and self._seen % self.every == 0
            self.refused += refused
            return refused


@contextmanager
def before(
    server: S3Server, every: int, methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "DELETE")
) -> Iterator[SlowDown]:
    """Stand before a running server inside the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if switch.refuses(self.command):
                self._answer(503, [("Content-Type", "application/xml")], ANSWER)
                return
            # The host's name is signed, so it goes on as it came.
            onward = HTTPConnection("127.0.0.1", server.port, timeout=60)
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            kept = [each for each in answer.getheaders() if each[0].lower() not in _OF_ONE_CONNECTION]
            self._answer(answer.status, kept, answer.read())
            onward.close()

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _pass  # noqa: N815  # the names that http.server looks for

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if not any(name.lower() == "content-length" for name, _ in headers):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: requests are no news."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        switch = SlowDown(f"http://127.0.0.1:{proxy.server_port}", every, methods)
        threading.Thread(target=proxy.serve_forever, name="slow down", daemon=True).start()
        yield switch
        proxy.shutdown()
