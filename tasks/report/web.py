"""The web server of `report.serve`: the page, the metrics, and whether it lives. It only reads what lies ready."""

import base64
import gzip
import hmac
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from tasks.errors import UsageError
from tasks.remote.secret import Secret
from tasks.report import formats
from tasks.report.metrics import PREFIX, ReportCollector
from tasks.report.rows import Report

PAGE = "html"
TEXT = "text/plain; charset=utf-8"
PATIENCE = 10.0  # seconds for a piece of a question to come
LONGEST = 60.0  # seconds for a question and its answer
AT_ONCE = 32  # questions
WORTH = 1024  # bytes from which on an answer is packed
Answered = tuple[HTTPStatus, str, bytes]


@dataclass(frozen=True)
class _Notice:
    """What hangs on the board. Never changed: a reader sees all of one notice."""

    report: Report | None = None
    page: bytes = b""
    seconds: float = 0.0
    success: bool = False


class Board:
    """The newest report, for many readers: put there by one thread, read by others."""

    def __init__(self) -> None:
        self._notice = _Notice()
        self.registry = CollectorRegistry()
        self.registry.register(ReportCollector(lambda: self._notice.report))
        self.registry.register(_Gathering(lambda: self._notice))

    def put(self, report: Report, seconds: float) -> None:
        """Show a new report, which took so long to make."""
        page = formats.write(report, PAGE, formats.Look()).encode()
        self._notice = _Notice(report, page, seconds, success=True)

    def failed(self) -> None:
        """Note that no new report could be made; the old one stays."""
        old = self._notice
        self._notice = _Notice(old.report, old.page, old.seconds, success=False)

    @property
    def page(self) -> bytes | None:
        """The report as a page; None before the first one."""
        return self._notice.page if self._notice.report else None


class _Gathering(Collector):
    """How the making of reports goes."""

    def __init__(self, notice: Callable[[], _Notice]) -> None:
        self._notice = notice

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        notice = self._notice()
        yield GaugeMetricFamily(f"{PREFIX}_gather_success", "Whether the last report could be made", notice.success)
        text = "How long the report took to make"
        yield GaugeMetricFamily(f"{PREFIX}_gather_duration_seconds", text, notice.seconds)


@dataclass(frozen=True)
class Access:
    """Who may ask: under which names (beside IP addresses, localhost and the one listened on), and with what password.

    `certificate` and `key` are files for TLS.
    """

    names: Sequence[str] = ()
    password: Secret | None = None
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return what TLS needs; None without a certificate. Raises UsageError."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(f"{self.certificate}: no certificate and key for TLS: {error}", "give PEM files") from None
        return context

    def knows(self, host: str) -> bool:
        """Tell whether a page may be asked for under this name.

        A browser sends the name that its user asked for. Somebody else's name that was pointed here (DNS rebinding) is
        refused; an address is nobody's trick.
        """
        name = host.strip().lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name in ("localhost", *(each.lower() for each in self.names)):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def admits(self, authorization: str) -> bool:
        """Tell whether an Authorization header has the password; any user will do."""
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
    """Use as a context manager: listens meanwhile. `address` is where. Raises UsageError when it cannot listen."""

    def __init__(self, host: str, port: int, board: Board, access: Access = OPEN) -> None:
        if not 0 <= port <= 65535:
            raise UsageError(f"cannot listen on port {port}: there is none", "give --port with a number up to 65535")
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            access = replace(access, names=(*access.names, host))
            server = _server(family, access.tls())
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


class _Server(ThreadingHTTPServer):
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

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; what TLS has to say is said in its own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread. While all places are taken nobody is answered, or a flood would take all memory."""
        if not self.places.acquire(timeout=1):
            self.shutdown_request(request)
            return
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
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a question that broke off."""


def _server(family: socket.AddressFamily, tls: ssl.SSLContext | None) -> type[_Server]:
    return type("Server", (_Server,), {"address_family": family, "tls": tls})


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def _handler(board: Board, access: Access) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "cloudbackup"
        sys_version = ""
        timeout = PATIENCE

        def do_GET(self) -> None:  # the base class calls it so
            status, kind, body = _admitted(board, access, self.path.partition("?")[0], self.headers)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status == HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", 'Basic realm="cloudbackup", charset="UTF-8"')
            self.send_header("Vary", "Accept, Accept-Encoding")
            if len(body) > WORTH and _takes_gzip(self.headers.get("Accept-Encoding") or ""):
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
            """Say nothing of each question."""

    return Handler


def _admitted(board: Board, access: Access, path: str, headers: Message) -> Answered:
    """Return status, content type and body for a path, if whoever asks may have it."""
    if not access.knows(headers.get("Host") or "localhost"):
        return HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"not served under this name: see report.serve --name\n"
    if path != "/-/healthy" and not access.admits(headers.get("Authorization") or ""):
        return HTTPStatus.UNAUTHORIZED, TEXT, b"a password is needed\n"
    return _answer(board, path, headers.get("Accept") or "")


def _takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding header takes gzip (RFC 9110, 12.5.3)."""
    for each in accepted.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() in ("gzip", "*"):
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False


def _metrics(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Return content type and text; an Accept header that cannot be read is as good as none."""
    try:
        encode, kind = choose_encoder(accept)
        return kind, encode(registry)
    except (ValueError, TypeError, IndexError, AttributeError):
        encode, kind = choose_encoder("")
        return kind, encode(registry)


def _answer(board: Board, path: str, accept: str) -> Answered:
    """Return status, content type and body for a path."""
    if path == "/metrics":
        return HTTPStatus.OK, *_metrics(board.registry, accept)
    if path == "/-/healthy":
        return HTTPStatus.OK, TEXT, b"healthy\n"
    if path not in ("/", "/-/ready"):
        return HTTPStatus.NOT_FOUND, TEXT, b"there are /, /metrics, /-/healthy and /-/ready\n"
    page = board.page
    if page is None:
        return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"the first report is being made\n"
    return (HTTPStatus.OK, "text/html; charset=utf-8", page) if path == "/" else (HTTPStatus.OK, TEXT, b"ready\n")
