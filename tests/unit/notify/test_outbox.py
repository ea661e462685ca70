"""A service that accepts a connection and says nothing: it holds no work up, and is asked once."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tasks.inventory.notifications import Notification
from tasks.notify import outbox, send
from tasks.notify.messages import Circle, News
from tasks.notify.outbox import Outbox
from tasks.remote.secret import Secret
from tests.unit.notify.support import Web, listening

GOOD = News("backup", "backup: 2 of 2 saved", "ok: shop", failed=False)
SOON = 0.5  # seconds


@dataclass
class Silent:
    """A server that accepts whoever comes and never answers; `came` are the connections."""

    port: int
    came: list[socket.socket] = field(default_factory=list)


@contextmanager
def silence() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = Silent(server.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    silent.came.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield silent
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in silent.came:
            each.close()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    monkeypatch.setattr(send, "PAUSE", 0.0)
    monkeypatch.setattr(send, "PATIENCE", SOON)
    monkeypatch.setattr(send, "HUNG", SOON)
    with silence() as each:
        yield each


@pytest.fixture
def web() -> Iterator[Web]:
    with listening() as web:
        yield web


def circles(monkeypatch: pytest.MonkeyPatch, posted: Outbox, *addresses: dict[str, Any]) -> list[Circle]:
    """Return the recipients of four apps: each has the same services, and pings of its own."""
    made = []
    for app in "abcd":
        each = []
        for number, address in enumerate(addresses):
            ((kind, text),) = address.items()
            monkeypatch.setenv(f"ADDRESS_{app}_{number}", text + (f"/{app}" if kind == "ping" else ""))
            values = {kind: {"env": f"ADDRESS_{app}_{number}"}, "on": "always"}
            each.append(Notification.model_validate_json(json.dumps(values)))
        made.append(Circle(app, each, posted))
    return made


def test_no_work_waits_for_it_and_the_others_hear_of_all(
    silent: Silent, web: Web, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    posted = Outbox()
    apps = circles(monkeypatch, posted, {"ping": f"http://127.0.0.1:{silent.port}"}, {"ping": web.address})
    posted.open()
    for app in apps:
        app.began("backup")
        app.ended(GOOD)
    assert len(web.heard) < 8  # all of them are done, and none waited
    posted.close()

    heard = list(dict.fromkeys(web.paths))  # a machine under load may need a second try
    assert heard == [path for app in "abcd" for path in (f"/{app}/start", f"/{app}")]
    assert (
        len(silent.came) == 1 + 2 * send.TRIES_HUNG
    )  # the first start, the first end, and that again at the end of all
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "notification 1 of a: the ping did not get through: 127.0.0.1: timed out",
        "notification 1 of a: the ping did not get through: 127.0.0.1: timed out",
        *(
            f"notification 1 of {app}: not sent: the service did not answer before in this run, and was not asked again"
            for app in "bcd"
        ),
    ]


@pytest.mark.parametrize("scheme", ["mailto://127.0.0.1:{}?from=a@example.org&to=b@example.org", "json://127.0.0.1:{}"])
def test_a_message_is_tried_again_at_the_end_alone(
    silent: Silent, scheme: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    short = "&rto=0.8&cto=0.8" if "?" in scheme else "/?rto=0.8&cto=0.8"  # Apprise's own patience
    posted = Outbox()
    apps = circles(monkeypatch, posted, {"url": scheme.format(silent.port) + short})
    socket.setdefaulttimeout(SOON)  # smtplib's
    try:
        posted.open()
        for app in apps:
            app.ended(GOOD)
        posted.close()
    finally:
        socket.setdefaulttimeout(None)
    assert len(silent.came) == 2  # one by one while the work went on, and once more at its end
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all("was not asked again" in line for line in lines[1:])


def _wait(for_it: threading.Event) -> None:
    for_it.wait(60)


def test_what_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(outbox, "PATIENCE", SOON)
    over = threading.Event()
    posted = Outbox()
    posted.open()
    posted.put(partial(_wait, over))
    posted.close()
    over.set()
    assert capfd.readouterr().err == "cloudbackup: some notifications were not sent: a service hangs\n"


def test_a_service_that_answers_in_the_end_gets_the_end(silent: Silent, web: Web) -> None:
    """A start is tried once and briefly: that it hung says nothing of the end."""
    posted = Outbox()

    def hangs() -> None:
        raise send.HungError("timed out")

    heard: list[str] = []
    with pytest.raises(send.HungError):
        posted.ask("one", hangs, start=True, again=hangs)
    posted.ask("one", lambda: heard.append("start"), start=True, again=hangs)
    posted.ask("one", lambda: heard.append("end"), start=False, again=hangs)
    posted.ask("two", lambda: heard.append("other"), start=True, again=hangs)
    assert heard == ["end", "other"]


def test_what_a_service_missed_while_it_hung_reaches_it_at_the_end(
    web: Web, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hangs = True
    ping = send.ping

    def asked(address: Secret, state: str, body: str) -> None:
        if hangs:
            raise send.HungError("timed out")
        ping(address, state, body)

    monkeypatch.setattr(send, "ping", asked)
    posted = Outbox()
    apps = circles(monkeypatch, posted, {"ping": web.address})
    posted.open()
    for app in apps:
        app.ended(GOOD)
    came = threading.Event()
    posted.put(came.set)
    assert came.wait(60)
    hangs = False
    posted.close()
    assert list(dict.fromkeys(web.paths)) == ["/a", "/b", "/c", "/d"]
    assert capfd.readouterr().err == ""
