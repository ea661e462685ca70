"""The web server of `report.serve`: the page, the metrics and a health check. It only reads what is ready."""

import base64
import gzip
import hmac
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType

from tasks.errors import UsageError
from tasks.remote.secret import Secret
from tasks.report import web_server
from tasks.report.board import Board
from tasks.report.negotiation import metrics, takes_gzip

TEXT = "text/plain; charset=utf-8"
PATIENCE = 10.0  # seconds to wait for the next part of a request
WORTH = 1024  # bytes from which an answer is compressed
HOST = re.compile(r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]*)?")  # RFC 9110, section 7.2
Answered = tuple[HTTPStatus, str, bytes]


@dataclass(frozen=True)
class Access:
    """Who may connect: the host names (besides IP addresses, localhost and the one listened on), and the password.

    `certificate` and `key` are files for TLS.
    """

    names: Sequence[str] = ()
    password: Secret | None = None
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context; None without a certificate. Raises UsageError."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # includes ssl.SSLError
            raise UsageError(f"{self.certificate}: no certificate and key for TLS: {error}", "give PEM files") from None
        return context

    def knows(self, host: str) -> bool:
        """Return whether a page may be requested under this host name.

        A browser sends the name that its user entered. A foreign name that resolves to this server (DNS rebinding) is
        refused; an IP address cannot be rebound.
        """
        found = HOST.fullmatch(host.strip().lower())
        name = (found["address"] or found["name"].rstrip(".")) if found else ""
        if name in ("localhost", *(each.lower() for each in self.names)):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def admits(self, authorization: str) -> bool:
        """Return whether an Authorization header has the password; any user name is accepted."""
        if self.password is None:
            return True
        kind, _, value = authorization.partition(" ")
        try:
            given = base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return False
        return kind.lower() == "basic" and hmac.compare_digest(given, self.password.reveal().encode())


OPEN = Access()


class Web:
    """Listens while used as a context manager. `address` is where. Raises UsageError if it cannot listen."""

    def __init__(self, host: str, port: int, board: Board, access: Access = OPEN) -> None:
        if not 0 <= port <= 65535:
            raise UsageError(f"cannot listen on port {port}: there is none", "give --port with a number up to 65535")
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            access = replace(access, names=(*access.names, host))
            server = web_server.of(family, access.tls())
            self._server = server((str(place[0]), int(place[1])), _handler(board, access))
        except OSError as error:
            raise UsageError(f"cannot listen on {host} port {port}: {error}", "give --host and --port") from error
        named = f"[{host}]" if ":" in host else host
        self.address = f"http{'s' if access.certificate else ''}://{named}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    def __enter__(self) -> "Web":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(board: Board, access: Access) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "cloudbackup"
        sys_version = ""
        timeout = PATIENCE

        def do_GET(self) -> None:  # the name that the base class calls
            assert isinstance(self.server, web_server.Server)
            self.server.heard(self.connection)
            status, kind, body = _admitted(board, access, self.path, self.headers, self.request_version)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status == HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", 'Basic realm="cloudbackup", charset="UTF-8"')
            self.send_header("Vary", "Accept, Accept-Encoding")
            if len(body) > WORTH and takes_gzip(self.headers.get("Accept-Encoding") or ""):
                body = gzip.compress(body, 5)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Do not log requests."""

    return Handler


def _admitted(board: Board, access: Access, asked: str, headers: Message, version: str) -> Answered:
    """Return status, content type and body for a request, if the client is admitted."""
    hosts = [host.strip() for host in headers.get_all("Host", [])]
    if len(hosts) > 1 or (version >= "HTTP/1.1" and not any(hosts)):
        return HTTPStatus.BAD_REQUEST, TEXT, b"one Host is needed\n"
    absolute = re.fullmatch(r"https?://([^/?#]*)([^?#]*).*", asked, re.IGNORECASE | re.DOTALL)  # absolute, for proxies
    host, path = (absolute[1], absolute[2] or "/") if absolute else ((hosts or [""])[0], asked.partition("?")[0])
    if not access.knows(host or "localhost"):
        return HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"not served under this name: see report.serve --name\n"
    if path != "/-/healthy" and not access.admits(headers.get("Authorization") or ""):
        return HTTPStatus.UNAUTHORIZED, TEXT, b"a password is needed\n"
    return _answer(board, path, ",".join(headers.get_all("Accept", [])))


def _answer(board: Board, path: str, accept: str) -> Answered:
    """Return status, content type and body for a path."""
    if path == "/metrics":
        return HTTPStatus.OK, *metrics(board.registry, accept)
    if path == "/-/healthy":
        return _state(b"healthy\n", None if board.lives else "no round of gathering has ended for too long")
    if path not in ("/", "/-/ready"):
        return HTTPStatus.NOT_FOUND, TEXT, b"there are /, /metrics, /-/healthy and /-/ready\n"
    page = board.page
    if page is None:
        return _state(b"", board.fault)
    if path == "/":
        return HTTPStatus.OK, "text/html; charset=utf-8", page
    return _state(b"ready\n", None if board.fresh else f"the newest report is too old. {board.fault}".rstrip())


def _state(well: bytes, fault: str | None) -> Answered:
    """Return the answer to a probe: `well`, or 503 and what is wrong."""
    if fault is None:
        return HTTPStatus.OK, TEXT, well
    return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, f"{fault}\n".encode()
