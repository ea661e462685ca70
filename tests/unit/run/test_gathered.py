"""Several tasks in one run: who is notified gets one message, about what they follow."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.inventory.inventory import Inventory
from tasks.notify import send
from tasks.run.notices import Gathered, Notices, Scope
from tasks.run.outcome import Outcome
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, MAIN, write

NOTIFY = """
notify:
  - {url: {env: ALL}}
  - {url: {env: DRILLS}, on: always, after: [verify]}
  - {ping: {env: PING}}
"""
Sent = list[tuple[str, str, bool]]


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    for name in ("ALL", "DRILLS", "PING"):
        monkeypatch.setenv(name, f"json://{name}")
    return load(write(tmp_path, MAIN + NOTIFY, shop=APP))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Return the messages: to whom, title or state, whether it failed."""
    found: Sent = []
    monkeypatch.setattr(
        send, "message", lambda to, title, _body, *, failed: found.append((to.reveal()[7:], title, failed))
    )
    monkeypatch.setattr(send, "ping", lambda to, state, _body: found.append((to.reveal()[7:], state, state == "fail")))
    return found


def run(inventory: Inventory, gathered: Gathered, action: str, status: str) -> None:
    scope = Scope(inventory.select(), every=False)
    with Notices(inventory, action, "done", scope, gathered) as notices:
        said = ("why",) if status == "failed" else ()
        notices.ended([Outcome("shop", "files", status, datetime.now(UTC), 1.0, said=said)])  # type: ignore[arg-type]


def test_a_night_in_which_the_drill_failed(inventory: Inventory, sent: Sent) -> None:
    with Gathered(inventory, every=True) as gathered:
        run(inventory, gathered, "backup", "ok")
        run(inventory, gathered, "verify", "failed")
        assert sent == [("PING", "start", False)]
    assert sent[1:] == [
        ("ALL", "verify: 0 of 1 done, 1 failed; backup: 1 of 1 done", True),
        ("DRILLS", "verify: 0 of 1 done, 1 failed", True),
        ("PING", "", False),
    ]


def test_a_good_night(inventory: Inventory, sent: Sent) -> None:
    with Gathered(inventory, every=True) as gathered:
        run(inventory, gathered, "backup", "ok")
        run(inventory, gathered, "verify", "ok")
    assert sent == [("PING", "start", False), ("DRILLS", "verify: 1 of 1 done", False), ("PING", "", False)]


def test_a_night_of_some_apps_is_no_success_for_all(inventory: Inventory, sent: Sent) -> None:
    with Gathered(inventory, every=False) as gathered:
        run(inventory, gathered, "backup", "ok")
    assert sent == []


def test_an_interrupted_night_is_a_failure(inventory: Inventory, sent: Sent) -> None:
    scope = Scope(inventory.select(), every=True)
    with suppress(KeyboardInterrupt), Gathered(inventory, every=True) as gathered:
        run(inventory, gathered, "backup", "ok")
        with Notices(inventory, "prune", "pruned", scope, gathered):
            raise KeyboardInterrupt
    assert ("ALL", "prune did not come to its end; backup: 1 of 1 done", True) in sent
