"""What `report.serve` answers, before and after a report could be made."""

import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from tasks.errors import UsageError
from tasks.report.board import Board
from tasks.report.rows import Report
from tasks.report.serve import Options, run
from tasks.report.web import Web
from tests.unit.report.fleet import NOW, fleet


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def web(board: Board) -> Iterator[Web]:
    with Web("127.0.0.1", 0, board) as web:
        yield web


def get(web: Web, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Return status, content type and body."""
    connection = HTTPConnection(web.address.split("/")[2], timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body


def test_before_the_first_report_it_lives_and_is_not_ready(web: Web) -> None:
    assert get(web, "/-/healthy")[0] == 200
    assert (get(web, "/")[0], get(web, "/-/ready")[0]) == (503, 503)
    status, _, body = get(web, "/metrics")
    assert (status, "cloudbackup_gather_success 0.0" in body, "cloudbackup_report_" in body) == (200, True, False)


def test_the_page_and_the_metrics(web: Web, board: Board) -> None:
    board.put(fleet(), 1.5)

    status, kind, page = get(web, "/?x=1")
    assert (status, kind, "6 of 56 need a look" in page) == (200, "text/html; charset=utf-8", True)
    assert get(web, "/", "HEAD") == (200, kind, "")
    status, kind, metrics = get(web, "/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert 'cloudbackup_configured{app="brauerei",source="files",storage="vault"} 1.0' in metrics
    assert "cloudbackup_gather_duration_seconds 1.5" in metrics
    _, kind, metrics = get(web, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (kind.split(";")[0], metrics.endswith("# EOF\n")) == ("application/openmetrics-text", True)
    assert get(web, "/-/ready")[0] == 200
    assert get(web, "/etc/passwd")[0] == 404
    assert get(web, "/metrics", "POST")[0] == 501


def test_ages_grow_between_reports(web: Web, board: Board) -> None:
    board.put(Report(NOW, fleet().apps[:1]), 1)

    _, _, metrics = get(web, "/metrics")

    age = next(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("cloudbackup_age_seconds{"))
    assert age == pytest.approx(time.time() - fleet().apps[0].last.timestamp(), abs=60)  # type: ignore[union-attr]


def test_a_report_that_cannot_be_made_leaves_the_old_one(web: Web, board: Board) -> None:
    board.put(fleet(), 1)

    board.failed("apps/shop.yml: line 3: <b>")

    _, _, metrics = get(web, "/metrics")
    assert "cloudbackup_gather_success 0.0" in metrics
    status, _, page = get(web, "/")
    assert (status, "There is no newer report: apps/shop.yml: line 3: &lt;b&gt;" in page) == (200, True)
    board.put(fleet(), 1)
    assert "There is no newer report" not in get(web, "/")[2]


def test_probes_tell_an_old_report_and_rounds_that_hang() -> None:
    now = 0.0
    board = Board(interval=20, clock=lambda: now)
    with Web("127.0.0.1", 0, board) as web:
        board.failed("the inventory is broken")
        assert get(web, "/-/ready")[::2] == (503, "the inventory is broken\n")
        board.put(fleet(), 5)
        now = 75.0  # three rounds of 20 s, and of the 5 s that one takes
        assert get(web, "/-/ready")[0] == 200
        now = 76.0
        board.failed("the inventory is broken")
        assert get(web, "/-/ready")[::2] == (503, "the newest report is too old. the inventory is broken\n")
        assert get(web, "/-/healthy")[0] == 200
        now = 76.0 + 60 + 3601
        assert get(web, "/-/healthy")[0] == 503
        board.put(fleet(), 5)
        assert (get(web, "/-/healthy")[0], get(web, "/-/ready")[0]) == (200, 200)


def test_where_it_cannot_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UsageError, match="cannot listen on 127"):
        Web("127.0.0.1", other.getsockname()[1], Board())
    for host, port in (("no-such-host.invalid", 1), ("127.0.0.1", 99999), ("127.0.0.1", -1)):
        with pytest.raises(UsageError, match="cannot listen"):
            Web(host, port, Board())


def test_an_interval_that_would_wear_the_storage_out() -> None:
    with pytest.raises(UsageError, match="too short"):
        run("/none", Options(interval=0))
