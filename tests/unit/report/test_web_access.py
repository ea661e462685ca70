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
from tasks.report.serve import Options
from tasks.report.web import Access, Board, Web
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
