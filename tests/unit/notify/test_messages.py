"""Who hears of a run, on real servers: HTTP for pings and messages, SMTP for mail."""

import email
import email.policy
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import ValidationError

from tasks.inventory.notifications import Notification
from tasks.notify import send
from tasks.notify.messages import LONGEST, Circle, News, shortened
from tasks.remote.secret import Secret
from tests.unit.notify.support import Web, listening

GOOD = News("backup", "backup: 2 of 2 saved", "shop  files  ok\nshop  mariadb  ok", failed=False)
BAD = News("backup", "backup: 1 of 2 saved, 1 failed", "shop  mariadb  failed  no grant ü", failed=True)
TOKEN = "SECRET-TOKEN-0815"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(send, "PAUSE", 0.0)
    with listening() as web:
        yield web


@pytest.fixture
def circle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a circle of those at `addresses`: (url or ping, address, further keys)."""

    def make(*addresses: tuple[str, str, dict[str, Any]]) -> Circle:
        made = []
        for number, (kind, address, more) in enumerate(addresses):
            monkeypatch.setenv(f"ADDRESS_{number}", address)
            made.append(Notification.model_validate_json(json.dumps({kind: {"env": f"ADDRESS_{number}"}, **more})))
        return Circle("all apps", made)

    return make


def test_pings_tell_start_success_and_failure(web: Web, circle: Any) -> None:
    told = circle(("ping", f"{web.address}/{TOKEN}?rid=1", {}))

    told.began("backup")
    told.ended(GOOD)
    told.ended(BAD)

    assert web.paths == [f"/{TOKEN}/start?rid=1", f"/{TOKEN}?rid=1", f"/{TOKEN}/fail?rid=1"]
    assert web.heard[2][1] == f"{BAD.title}\n\n{BAD.body}"


def test_who_hears_of_what(web: Web, circle: Any) -> None:
    told = circle(
        ("ping", f"{web.address}/ping", {}),
        ("ping", f"{web.address}/drill", {"after": ["verify"]}),
        ("ping", f"{web.address}/bad", {"on": "failure"}),
        ("url", web.address.replace("http", "json") + "/message", {}),
        ("url", web.address.replace("http", "json") + "/all", {"on": "always", "after": ["backup", "check"]}),
    )

    told.began("backup")
    told.ended(GOOD)
    assert web.paths == ["/ping/start", "/ping", "/all"]
    web.heard.clear()
    told.ended(BAD)
    assert web.paths == ["/ping/fail", "/bad/fail", "/message", "/all"]
    web.heard.clear()
    told.ended(News("prune", "t", "b", failed=True))
    assert web.paths == ["/message"]
    web.heard.clear()
    told.ended(News("verify", "t", "b", failed=False))
    assert web.paths == ["/drill"]


def test_part_of_a_run_is_no_success_for_a_service_that_misses_backups(web: Web, circle: Any) -> None:
    told = circle(
        ("ping", f"{web.address}/ping", {}),
        ("url", web.address.replace("http", "json") + "/message", {"on": "always"}),
    )

    told.ended(News("backup", "t", "b", failed=False, whole=False))
    assert web.paths == ["/message"]
    told.ended(News("backup", "t", "b", failed=True, whole=False))
    assert web.paths[1:] == ["/ping/fail", "/message"]


def test_a_message_says_whether_it_is_bad_news(web: Web, circle: Any) -> None:
    told = circle(("url", web.address.replace("http", "json"), {"on": "always"}))

    told.ended(BAD)
    told.ended(GOOD)

    bad, good = (json.loads(body) for _, body in web.heard)
    assert (bad["type"], bad["title"], bad["message"]) == ("failure", BAD.title, BAD.body)
    assert good["type"] == "success"


def test_mail(circle: Any) -> None:
    mails = []

    class Keeper:
        async def handle_DATA(  # noqa: N802  # aiosmtpd calls it so
            self, _server: object, _session: object, envelope: Any
        ) -> str:
            mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            return "250 kept"

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    controller = Controller(Keeper(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        told = circle(("url", f"mailto://127.0.0.1:{port}?from=backup@example.org&to=admin@example.org", {}))
        told.ended(BAD)
    finally:
        controller.stop()

    (mail,) = mails
    assert (mail["Subject"], mail["To"]) == (BAD.title, "admin@example.org")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "no grant ü" in body.get_content()


def test_a_service_that_stumbles_is_asked_again(web: Web, circle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = circle(("ping", f"{web.address}/{TOKEN}", {}))

    web.answers = [503, 429, 200]
    told.ended(GOOD)
    assert (len(web.heard), capsys.readouterr().err) == (3, "")
    web.answers = [500, 500, 500, 500]
    told.ended(GOOD)
    assert len(web.heard) == 6
    web.answers = [500, 500]
    told.began("backup")  # a backup does not wait for it
    assert len(web.heard) == 7


@pytest.mark.parametrize(
    ("notification", "said"),
    [
        (("ping", "{web}/" + TOKEN), "the ping did not get through: 127.0.0.1 answered 404"),
        (("ping", "http://127.0.0.1:1/" + TOKEN), "the ping did not get through: 127.0.0.1: "),
        (("ping", "file:///etc/" + TOKEN), "the address is not one of https:// or http://"),
        (("ping", "http://[" + TOKEN), "the address is not a valid one"),
        (("url", "json://127.0.0.1:1/" + TOKEN), "the message was not sent: "),
        (("url", "jsons://user:" + TOKEN + "@127.0.0.1:1"), "the message was not sent: "),
        (("url", TOKEN + "://x"), "Apprise does not know such an address"),
        (("url", "ntfy://127.0.0.1:1/" + TOKEN), "the message was not sent: "),
    ],
)
def test_what_does_not_get_through_is_said_without_its_address(
    web: Web, circle: Any, capfd: pytest.CaptureFixture[str], notification: tuple[str, str], said: str
) -> None:
    web.answers = [404]

    circle((notification[0], notification[1].format(web=web.address), {})).ended(BAD)

    out, err = capfd.readouterr()
    assert said in err
    assert err.startswith("cloudbackup: notification 1 of all apps: ")
    assert (TOKEN in err, out, len(err.splitlines())) == (False, "", 1)


def test_an_address_that_is_not_there_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    Circle("shop", [Notification.model_validate({"ping": {"env": "NO_SUCH_ADDRESS"}})]).ended(BAD)

    assert capfd.readouterr().err == (
        "cloudbackup: notification 1 of shop: the environment variable NO_SUCH_ADDRESS is not set\n"
    )


def test_a_long_message_is_cut_at_a_line() -> None:
    text = "\n".join(f"line {number}" for number in range(1000))

    cut = shortened(text)

    assert len(cut) < LONGEST + 40
    first, *_, before, last = cut.splitlines()
    assert (first, before.startswith("line "), last) == (
        "line 0",
        True,
        f"... and {1000 - int(before[5:]) - 1} more lines",
    )
    assert shortened("short") == "short"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": {"env": "A"}, "ping": {"env": "B"}},
        {"url": "mailto://x"},
        {"ping": {"env": "A"}, "on": "success"},
        {"ping": {"env": "A"}, "after": []},
        {"ping": {"env": "A"}, "after": ["restore"]},
    ],
)
def test_what_an_inventory_may_not_say(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Notification.model_validate_json(json.dumps(wrong))


def test_what_a_service_says_is_told_unless_a_part_of_its_address_stands_in_it() -> None:
    address = Secret(f"json://user:{TOKEN}@example.org/path?key=value")

    assert send._cause("2026-11-23 - WARNING - no answer from example.org", address) == "no answer from example.org"
    for part in (TOKEN, "path", "key", "value", "user"):
        assert send._cause(f"2026-11-23 - WARNING - no answer at {part}", address) == "the service did not take it"


def test_a_fault_of_a_library_harms_nobody(
    web: Web, circle: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(send, "message", lambda *_, **__: 1 / 0)

    circle(("url", "json://x", {}), ("ping", f"{web.address}/ping", {})).ended(BAD)

    assert capfd.readouterr().err == "cloudbackup: notification 1 of all apps: ZeroDivisionError\n"
    assert web.paths == ["/ping/fail"]
