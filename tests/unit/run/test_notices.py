"""What those whom the inventory names are told of a run, and of what it was."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.errors import InterruptedRunError
from tasks.inventory.inventory import Inventory
from tasks.notify.messages import Circle, News
from tasks.run.notices import Notices, Scope
from tasks.run.outcome import Outcome
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, MAIN, write

Told = list[tuple[str, str, bool, bool]]


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return load(write(tmp_path, MAIN, shop=APP, blog=APP))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Who was told of what: name, title (`start`), whether it failed, whether it was whole."""
    told: Told = []

    def ended(circle: Circle, news: News) -> None:
        told.append((circle.what, news.title, news.failed, news.whole))

    monkeypatch.setattr(Circle, "began", lambda circle, _: told.append((circle.what, "start", False, True)))
    monkeypatch.setattr(Circle, "ended", ended)
    return told


def outcome(app: str, status: str = "ok") -> Outcome:
    return Outcome(app, "files", status, datetime.now(UTC), 1.0, said=("why",) if status == "failed" else ())  # type: ignore[arg-type]


def run(inventory: Inventory, scope: Scope, status: str = "ok") -> None:
    with Notices(inventory, "backup", "saved", scope) as notices:
        work, _ = notices.each(lambda app: [outcome(app.name, status)], lambda _: ["files"], lambda _: None)
        notices.ended([each for app in scope.apps for each in work(app)])


def test_a_whole_run(inventory: Inventory, told: Told) -> None:
    run(inventory, Scope(inventory.select(), every=True))

    assert told == [
        ("all apps", "start", False, True),
        ("blog", "start", False, True),
        ("blog", "backup of blog: 1 of 1 saved", False, True),
        ("shop", "start", False, True),
        ("shop", "backup of shop: 1 of 1 saved", False, True),
        ("all apps", "backup: 2 of 2 saved", False, True),
    ]


def test_a_run_of_one_app_is_whole_for_that_app_alone(inventory: Inventory, told: Told) -> None:
    run(inventory, Scope(inventory.select(["shop"]), every=False))

    assert told[1:] == [
        ("shop", "backup of shop: 1 of 1 saved", False, True),
        ("all apps", "backup: 1 of 1 saved", False, False),
    ]


def test_a_run_of_some_sources_is_whole_for_nobody(inventory: Inventory, told: Told) -> None:
    run(inventory, Scope(inventory.select(), every=True, whole=lambda app: app.name == "blog"), "failed")

    assert told == [
        ("blog", "start", False, True),
        ("blog", "backup of blog: 0 of 1 saved, 1 failed", True, True),
        ("shop", "backup of shop: 0 of 1 saved, 1 failed", True, False),
        ("all apps", "backup: 0 of 2 saved, 2 failed", True, False),
    ]


def test_an_interrupted_run_failed(inventory: Inventory, told: Told) -> None:
    with (
        pytest.raises(InterruptedRunError),
        Notices(inventory, "backup", "saved", Scope(inventory.select(), every=True)),
    ):
        raise InterruptedRunError("interrupted")

    assert told[1:] == [("all apps", "backup did not come to its end", True, True)]
