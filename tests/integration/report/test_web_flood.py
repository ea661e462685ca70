"""No question, however wrong, hurts `report.serve`."""

import random
import socket
import threading
from contextlib import suppress
from urllib.request import urlopen

import pytest

from tasks.report import web_server
from tasks.report.board import Board
from tasks.report.web import Web
from tests.unit.report.fleet import fleet


def test_five_thousand_malformed_questions_leave_it_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "LONGEST", 2.0)
    board = Board()
    board.put(fleet(), 1)
    chance = random.Random(7)  # noqa: S311
    whole = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nAuthorization: Basic eDp5\r\n\r\n"
    with Web("127.0.0.1", 0, board) as web:
        place = ("127.0.0.1", int(web.address.rsplit(":", 1)[1].strip("/")))
        for number in range(5000):
            question = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(len(question))
                question[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
            if number % 500 == 0:
                question = bytearray(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000)
            with socket.create_connection(place, timeout=20) as connection, suppress(OSError):
                connection.settimeout(0.0005)
                connection.sendall(bytes(question))
                connection.recv(64)
        with urlopen(web.address, timeout=20) as answer:  # noqa: S310
            assert answer.status == 200
        assert threading.active_count() <= 3 * web_server.AT_ONCE
