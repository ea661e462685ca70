"""What a person is to paste into a report names neither their account nor their host."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

import tasks.storagebox.probe as storagebox_probe
from tasks.errors import AppError
from tasks.storagebox import assumptions
from tasks.storagebox.assumptions import Place

if TYPE_CHECKING:
    from tasks.storage.ssh import SshServer

ACCOUNT, HOST = "u12345", "u12345.your-storagebox.de"


def box(names: Callable[[], list[str]]) -> SimpleNamespace:
    """Return a box whose scratch folder is listed by `names`."""
    files = SimpleNamespace(names=lambda _: names())
    return SimpleNamespace(config=SimpleNamespace(user=ACCOUNT, host=HOST), server=SimpleNamespace(files=lambda: files))


def test_what_is_to_be_pasted_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(place: Place) -> str:
        assert place.line("exit 1; sleep 9").code == 1
        raise AppError(f"{HOST}: borg init: ssh://{ACCOUNT}@{HOST}:23/./x is of {ACCOUNT}")

    def late(place: Place) -> str:
        place.line("exec sleep 30")
        return "never"

    monkeypatch.setattr(assumptions, "PATIENCE", 0.5)
    monkeypatch.setattr(assumptions, "TRIED", (("one", slow), ("two", late)))
    server = box(list)
    shell = ("sh", "-c", 'eval "$2"', "sh", f"{ACCOUNT}@{HOST}")
    found = assumptions.asked(Place(cast("SshServer", server), "x", shell, lambda _: ((), {})))
    text = "\n".join(storagebox_probe.lines(found))
    assert "2 different" in text
    assert "HOST: borg init: ssh://ACCOUNT@HOST:23/./x is of ACCOUNT" in text
    assert "u12345" not in text


def test_what_comes_after_a_lost_connection_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[str] = []

    def ask(place: Place) -> str:
        if not lost:
            return "well"
        raise assumptions.DifferentError("status 255, on standard error: Connection closed")

    def ends(_: Place) -> str:
        lost.append("now")
        raise AppError(f"{HOST}: the connection was lost")

    def names() -> list[str]:
        if lost:
            raise AppError(f"{HOST} cannot be reached")
        return []

    monkeypatch.setattr(assumptions, "TRIED", (("one", ask), ("two", ends), ("three", ask)))
    found = assumptions.asked(Place(cast("SshServer", box(names)), "x", (), lambda _: ((), {})))
    seen = [(each.what, each.state, each.said) for each in found[:3]]
    why = "the connection was lost: HOST cannot be reached"
    assert seen == [("one", "ok", "well"), ("two", "not tried", why), ("three", "not tried", why)]
