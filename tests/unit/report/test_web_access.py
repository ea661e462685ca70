"""Who may ask `report.serve`, and that no question, however wrong, hurts it."""

import base64
import gzip
import socket
import ssl
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.remote.secret import Secret
from tasks.report import web as module
from tasks.report import web_server
from tasks.report.board import Board
from tasks.report.serve import Options
from tasks.report.web import Access, Web
from tests.unit.report.fleet import fleet


@pytest.fixture(scope="module")
def board() -> Board:
    board = Board()
    board.put(fleet(), 1)
    return board


@pytest.fixture(scope="module")
def web(board: Board) -> Iterator[Web]:
    with Web("127.0.0.1", 0, board, Access(names=("Backups.example.org",))) as web:
        yield web


def get(web: Web, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(web.address.split("/")[2], timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9190", 200),
        ("[::1]:9190", 200),
        ("10.0.0.7", 200),
        ("localhost", 200),
        ("backups.example.org:443", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("backups.example.org.evil.com", 421),
        ("[x", 421),
    ],
)
def test_a_name_that_somebody_else_pointed_here_is_refused(web: Web, host: str, status: int) -> None:
    assert get(web, Host=host)[0] == status


def test_a_password(board: Board) -> None:
    with Web("127.0.0.1", 0, board, Access(password=Secret("pässword"))) as web:
        given = base64.b64encode("any:pässword".encode()).decode()
        wrong = base64.b64encode(b"any:password").decode()
        assert get(web, "/-/healthy")[0] == 200
        status, headers, _ = get(web)
        assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
        assert get(web, Authorization=f"Basic {given}")[0] == 200
        for value in (f"Basic {wrong}", f"Bearer {given}", "Basic", "Basic \xff", "x" * 2000):
            assert get(web, "/metrics", Authorization=value)[0] == 401


def test_tls_by_files(board: Board, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run((*words, *names, "-keyout", str(key), "-out", str(certificate)), check=True, capture_output=True)
    access = Options(certificate=str(certificate), key=str(key)).access()
    with Web("127.0.0.1", 0, board, access) as web:
        silent = socket.create_connection(("127.0.0.1", int(web.address.rsplit(":", 1)[1].strip("/"))))
        context = ssl.create_default_context(cafile=str(certificate))
        connection = HTTPSConnection(web.address.split("/")[2], timeout=20, context=context)
        connection.request("GET", "/-/ready")
        assert (web.address[:8], connection.getresponse().status) == ("https://", 200)
        silent.close()
        connection.close()
    with pytest.raises(UsageError, match="no certificate and key for TLS"):
        Web("127.0.0.1", 0, board, Access(certificate=key))
    with pytest.raises(UsageError, match="--password names no place"):
        Options(password="hunter2").access()


def test_gzip_where_it_is_taken(web: Web) -> None:
    plain = get(web)[2]
    status, headers, body = get(web, **{"Accept-Encoding": "br, gzip;q=0.8"})
    assert (status, headers["Content-Encoding"], gzip.decompress(body)) == (200, "gzip", plain)
    for value in ("identity", "gzip;q=0", "", "\x00gzip"):
        assert "Content-Encoding" not in get(web, **{"Accept-Encoding": value})[1]


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=x", "*/*;q=;;", ";version=", ",", "a" * 9000]
)
def test_an_accept_header_that_cannot_be_read_is_as_good_as_none(web: Web, accept: str) -> None:
    status, headers, body = get(web, "/metrics", Accept=accept)
    assert (status, headers["Content-Type"].split(";")[0]) in {
        (200, "text/plain"),
        (200, "application/openmetrics-text"),
    }
    assert b"cloudbackup_configured" in body


GET = "GET /-/ready HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("GET /-/ready HTTP/1.0\r\n", 200),
        (GET, 400),
        (GET + "Host:\r\n", 400),
        (GET + "Host: localhost\r\n", 200),
        (GET + "Host: localhost.\r\n", 200),
        (GET + "Host: localhost\r\nHost: localhost\r\n", 400),
        (GET + "Host: localhost\r\nHost: evil.example.com\r\n", 400),
        (GET + "Host: evil@localhost\r\n", 421),
        (GET + "Host: [::1\r\n", 421),
        (GET + "Host: localhost:80:80\r\n", 421),
        (GET + "Host: localhost, evil.example.com\r\n", 421),
        ("GET http://localhost/-/ready HTTP/1.1\r\nHost: evil.example.com\r\n", 200),
        ("GET http://evil.example.com/-/ready HTTP/1.1\r\nHost: localhost\r\n", 421),
        ("GET //evil.example.com/-/ready HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /../-/ready HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /-/ready?x=%0d HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("POST /-/ready HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", 501),
        ("TRACE / HTTP/1.1\r\nHost: localhost\r\n", 501),
    ],
)
def test_questions_as_they_come_over_the_wire(web: Web, question: str, status: int) -> None:
    assert raw(web, question.encode() + b"\r\n").split(b" ")[1] == str(status).encode()


def raw(web: Web, question: bytes) -> bytes:
    with socket.create_connection(place(web), timeout=20) as connection:
        connection.sendall(question)
        said = bytearray()
        while piece := connection.recv(65536):
            said += piece
        return bytes(said)


def place(web: Web) -> tuple[str, int]:
    return "127.0.0.1", int(web.address.rsplit(":", 1)[1].strip("/"))


def test_a_second_question_on_one_connection_is_not_answered(web: Web) -> None:
    """HTTP/1.0: what is sent behind a question is nobody's, so none can be smuggled past a proxy."""
    question = (GET + "Host: localhost\r\nContent-Length: 9\r\n\r\n").encode()
    assert raw(web, question * 3).count(b"HTTP/1.0 200") == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text"),
        ("application/openmetrics-text;version=1.0.0;q=0", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.1, text/plain;q=0.9", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.9, */*;q=0.1", "application/openmetrics-text"),
        ("APPLICATION/OpenMetrics-Text; version=1.0.0", "application/openmetrics-text"),
        ("application/json", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_metrics_come_in_the_form_that_is_liked_best(web: Web, accept: str, kind: str) -> None:
    assert get(web, "/metrics", Accept=accept)[1]["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize(
    ("value", "packed"),
    [("x-gzip", True), ("*", True), ("*, gzip;q=0", False), ("gzip;q=0.001", True), ("*;q=0, gzip", True)],
)
def test_what_is_said_of_gzip_goes_before_what_is_said_of_all(web: Web, value: str, packed: bool) -> None:
    assert ("Content-Encoding" in get(web, **{"Accept-Encoding": value})[1]) is packed


def test_whoever_asks_nothing_keeps_nobody_out(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing, or a little at a time, lose their place to whoever asks."""
    monkeypatch.setattr(module, "PATIENCE", 3600.0)
    with Web("127.0.0.1", 0, board) as web:
        silent = []
        for number in range(10 * web_server.AT_ONCE):
            silent.append(socket.create_connection(place(web), timeout=20))
            silent[-1].sendall(b"GET / HTTP/1.1\r\nX: " if number % 2 else b"")
        for _ in range(20):
            assert get(web, "/-/ready")[0] == 200
        for each in silent:
            each.close()
