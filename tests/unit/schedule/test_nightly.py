"""`nightly --dry-run` beside a `nightly` that runs: it shows what is due, and neither waits nor is in its way."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

import tasks.schedule.nightly as due_now
from tasks.run.view import Telling

if TYPE_CHECKING:
    from tasks.inventory.inventory import Inventory


def test_what_is_due_is_shown_beside_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = cast("Inventory", SimpleNamespace(folder=tmp_path, cache=tmp_path))
    monkeypatch.setattr(due_now, "load", lambda _: inventory)
    monkeypatch.setattr(due_now, "planned", lambda *_: {"backup": ["shop"]})
    monkeypatch.setattr(due_now, "_paused", lambda *_: {})
    options = due_now.Options(dry_run=True, telling=Telling(json=True))
    with due_now.only_one(inventory) as free:
        assert free
        assert due_now.run("", options) == 0
    assert json.loads(capsys.readouterr().out)["due"] == {"backup": ["shop"]}


def test_one_that_shows_what_is_due_keeps_none_from_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = cast("Inventory", SimpleNamespace(folder=tmp_path, cache=tmp_path))
    beside: list[bool] = []

    def planned(*_: object) -> dict[str, list[str]]:
        with due_now.only_one(inventory) as free:
            beside.append(free)
        return {}

    monkeypatch.setattr(due_now, "load", lambda _: inventory)
    monkeypatch.setattr(due_now, "planned", planned)
    monkeypatch.setattr(due_now, "_paused", lambda *_: {})
    assert due_now.run("", due_now.Options(dry_run=True)) == 0
    assert beside == [True]
