"""`--format json` over several apps: one document of all of them, or none."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.borg import apps
from tasks.errors import CloudbackupError


def ending(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a task over apps read one of them, and end so."""

    def over(_folder: str, _names: object, _act: object, fault: Callable[[Any, CloudbackupError], None]) -> None:
        fault(None, CloudbackupError("it broke"))
        raise error

    monkeypatch.setattr(apps, "_place", lambda _: {"app": "shop"})
    monkeypatch.setattr(apps, "_over", over)


def test_of_apps_that_failed_there_is_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ending(apps.SomeFailedError("1 of 2 apps failed"), monkeypatch)
    with pytest.raises(apps.SomeFailedError):
        apps.documents("", (), lambda _: {})
    assert json.loads(capsys.readouterr().out)["apps"] == [{"app": "shop", "error": "it broke", "remedy": None}]


def test_after_ctrl_c_there_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ending(KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        apps.documents("", (), lambda _: {})
    assert capsys.readouterr().out == ""
