"""A verb over several apps: what is wrong with one is that app's failure alone."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.borg import apps
from tasks.borg.apps import Opened
from tasks.errors import AppError, CloudbackupError, RefusedError, UsageError

STORAGE = "storages:\n  disk: {kind: local, directory: /nowhere}\ndefaults: {storage: disk}\n"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(STORAGE)
    for name, secret in (("a", "{env: GIVEN}"), ("b", "{command: 'false'}"), ("c", "{env: GIVEN}")):
        text = f"host: local\npassphrase: {secret}\nfiles: {{paths: [/srv]}}\n"
        (tmp_path / "apps" / f"{name}.yml").write_text(text)
    return tmp_path


def names(opened: Opened) -> Iterator[str]:
    yield opened.app.name


def test_an_app_whose_secret_cannot_be_read_stops_no_other(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIVEN", "x")
    with pytest.raises(apps.SomeFailedError, match="1 of 3 apps failed") as caught:
        apps.each(str(inventory), (), names)
    printed = capsys.readouterr()
    assert (printed.out.split(), caught.value.exit_code) == (["a", "c"], 3)
    assert "the passphrase of b" in printed.err


@pytest.mark.parametrize(
    ("fault", "code"), [(UsageError("x"), 2), (RefusedError("x"), 5), (AppError("x"), 4), (CloudbackupError("x"), 4)]
)
def test_the_exit_code_that_all_share(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, fault: CloudbackupError, code: int
) -> None:
    monkeypatch.setenv("GIVEN", "x")

    def fails(_: Opened) -> Iterator[str]:
        raise fault

    with pytest.raises(CloudbackupError, match="2 of 2 apps failed") as caught:
        apps.each(str(inventory), ("a", "c"), fails)
    assert caught.value.exit_code == code


def test_one_app_alone_raises_its_own_fault(inventory: Path) -> None:
    with pytest.raises(UsageError, match="the passphrase of b"):
        apps.each(str(inventory), ("b",), names)


def test_several_at_once_keep_the_lines_of_each_together(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are at work at one time: each waits for the other between its two lines."""
    monkeypatch.setenv("GIVEN", "x")
    together = threading.Barrier(2)

    def slow(opened: Opened) -> Iterator[str]:
        yield f"{opened.app.name} begins"
        together.wait(30)
        yield f"{opened.app.name} ends"

    with pytest.raises(apps.SomeFailedError, match="1 of 3 apps failed"):
        apps.several(str(inventory), (), slow)
    lines = capsys.readouterr().out.splitlines()
    assert sorted([lines[:2], lines[2:]]) == [["a begins", "a ends"], ["c begins", "c ends"]]
