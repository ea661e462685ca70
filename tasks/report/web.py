"""The web server of `report.serve`: the page, the metrics, and whether it lives. It only reads what lies ready."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from tasks.errors import UsageError
from tasks.report import formats
from tasks.report.metrics import PREFIX, ReportCollector
from tasks.report.rows import Report

PAGE = "html"
TEXT = "text/plain; charset=utf-8"
PATIENCE = 10.0  # seconds for one question to be put


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


class Web:
    """Use as a context manager: listens meanwhile. `address` is where. Raises UsageError when it cannot listen."""

    def __init__(self, host: str, port: int, board: Board) -> None:
        if not 0 <= port <= 65535:
            raise UsageError(f"cannot listen on port {port}: there is none", "give --port with a number up to 65535")
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self._server = _server(family)((str(place[0]), int(place[1])), _handler(board))
        except OSError as error:
            raise UsageError(f"cannot listen on {host} port {port}: {error}", "give --host and --port") from error
        named = f"[{host}]" if ":" in host else host
        self.address = f"http://{named}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    def __enter__(self) -> "Web":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _server(family: socket.AddressFamily) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        block_on_close = False

        def server_bind(self) -> None:
            """Bind alone: HTTPServer also asks the name service for its own name, which can take long."""
            TCPServer.server_bind(self)

    return Server


def _handler(board: Board) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "cloudbackup"
        sys_version = ""
        timeout = PATIENCE

        def do_GET(self) -> None:  # the base class calls it so
            status, kind, body = _answer(board, self.path.partition("?")[0], self.headers.get("Accept") or "")
            self.send_response(status)
            self.send_header("Content-Type", kind)
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


def _answer(board: Board, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
    """Return status, content type and body for a path."""
    if path == "/metrics":
        encode, kind = choose_encoder(accept)
        return HTTPStatus.OK, kind, encode(board.registry)
    if path == "/-/healthy":
        return HTTPStatus.OK, TEXT, b"healthy\n"
    if path not in ("/", "/-/ready"):
        return HTTPStatus.NOT_FOUND, TEXT, b"there are /, /metrics, /-/healthy and /-/ready\n"
    page = board.page
    if page is None:
        return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"the first report is being made\n"
    return (HTTPStatus.OK, "text/html; charset=utf-8", page) if path == "/" else (HTTPStatus.OK, TEXT, b"ready\n")
