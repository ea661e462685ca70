"""`prune --format json`: one document on standard output, whatever a person answers."""

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

import tasks.fleet.prune as fleet_prune
from tasks.cli import confirm
from tasks.run.view import Telling


def test_a_question_does_not_go_where_the_outcome_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO("y\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert confirm("Remove it?", yes=False)
    assert capsys.readouterr() == ("", "Remove it? [y/N] ")


def test_no_is_answered_by_a_document_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = SimpleNamespace(outcome=None, intention=SimpleNamespace(needed=True), count=2)
    monkeypatch.setattr(fleet_prune, "load", lambda _: None)
    monkeypatch.setattr(fleet_prune, "Session", lambda _: nullcontext())
    monkeypatch.setattr(fleet_prune, "_selected", lambda *_: ())
    monkeypatch.setattr(fleet_prune, "over_apps", lambda *_: [job])
    assert fleet_prune.run("", fleet_prune.Options(telling=Telling(json=True)), lambda _: False) == 0
    assert json.loads(capsys.readouterr().out)["outcomes"] == []
