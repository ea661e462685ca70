"""A server's time by its answers, whatever it answers."""

import socket
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from tasks.remote.http_date import http_date

NOW = "Sat, 28 Nov 2026 00:10:00 GMT"
STAMP = datetime(2026, 11, 28, 0, 10, tzinfo=UTC).timestamp()


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """Return the address of a server, and the answers that it will give to one request each."""
    listening = socket.create_server(("127.0.0.1", 0))
    answers: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                talk, _ = listening.accept()
            except OSError:
                return
            with talk:
                if b"authorization" in talk.recv(9999).lower():
                    return
                talk.sendall(answers.pop(0))

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", answers
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def answer(code: str, lines: Sequence[str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {code}", *lines, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize("code", ["200 OK", "403 Forbidden", "405 Method Not Allowed", "503 Slow Down"])
def test_any_answer_tells_it(server: tuple[str, list[bytes]], code: str) -> None:
    server[1].append(answer(code, [f"Date: {NOW}"]))
    assert http_date(server[0]) == STAMP


def test_a_redirection_is_not_followed(server: tuple[str, list[bytes]]) -> None:
    server[1].append(answer("307 Temporary Redirect", [f"Date: {NOW}", "Location: http://127.0.0.1:1/"]))
    assert http_date(server[0]) == STAMP


@pytest.mark.parametrize(
    "lines",
    [[], ["Date: yesterday"], ["Date: Sat, 28 Nov 99999 00:10:00 GMT"], ["Date: "], [f"Date: {NOW}", "Age: 7"]],
    ids=["none", "words", "far", "empty", "kept on the way"],
)
def test_what_tells_no_time_is_nobodys_clock(server: tuple[str, list[bytes]], lines: Sequence[str]) -> None:
    server[1].append(answer("200 OK", lines))
    assert http_date(server[0]) is None


def test_who_does_not_speak_http_tells_nothing(server: tuple[str, list[bytes]]) -> None:
    server[1].append(b"SSH-2.0-OpenSSH\r\n")
    assert http_date(server[0]) is None
    assert http_date("http://127.0.0.1:1") is None
    assert http_date("file:///etc/passwd") is None
