"""What a person is to paste into a report names neither their account nor their host."""

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


def test_what_is_to_be_pasted_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(place: Place) -> str:
        assert place.line("exit 1; sleep 9").code == 1
        raise AppError(f"{HOST}: borg init: ssh://{ACCOUNT}@{HOST}:23/./x is of {ACCOUNT}")

    def late(place: Place) -> str:
        place.line("exec sleep 30")
        return "never"

    monkeypatch.setattr(assumptions, "PATIENCE", 0.5)
    monkeypatch.setattr(assumptions, "TRIED", (("one", slow), ("two", late)))
    server = SimpleNamespace(config=SimpleNamespace(user=ACCOUNT, host=HOST))
    shell = ("sh", "-c", 'eval "$2"', "sh", f"{ACCOUNT}@{HOST}")
    found = assumptions.asked(Place(cast("SshServer", server), "x", shell, lambda _: ((), {})))
    text = "\n".join(storagebox_probe.lines(found))
    assert "2 different" in text
    assert "HOST: borg init: ssh://ACCOUNT@HOST:23/./x is of ACCOUNT" in text
    assert "u12345" not in text
