"""A change of passphrase is two changes, in the repository and in escrow: whatever dies between them is ended later."""

from collections.abc import Iterator

import pytest

import tasks.borg.change_passphrase as borg_change_passphrase
from tasks.borg import verbs
from tasks.borg.apps import Opened
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.errors import AppError, RefusedError
from tasks.remote.secret import Secret
from tests.integration.attack.support import QUICK, Scene
from tests.killed import Killed, dies

NEW = Secret("quite another")


@pytest.fixture(autouse=True)
def escrow(scene: Scene) -> Iterator[None]:
    """Put the escrow folder back."""
    folder = scene.session.inventory.escrow
    before = {path: path.read_bytes() for path in folder.iterdir()}
    yield
    for path in folder.iterdir():
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def change(scene: Scene, new: Secret = NEW) -> list[str]:
    return list(verbs.change_passphrase(scene.opened, new, ask=lambda _: True))


def opened(scene: Scene) -> Opened:
    before = scene.opened
    return Opened(before.session, before.app, borg_change_passphrase.with_passphrase(before.repository, NEW))


@pytest.mark.parametrize("step", ["before", "after", "export", "record"])
def test_killed_at_any_point_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    key = scene.session.inventory.escrow / "box-shop.key"
    former = key.read_bytes()
    with monkeypatch.context() as patch:
        if step == "before":
            patch.setattr(borg_change_passphrase, "change", dies)
        elif step == "after":
            patch.setattr(verbs, "_escrowed", dies)
        elif step == "export":
            patch.setattr("tasks.borg.client.key_export.replace_whole", dies)
        else:
            patch.setattr("tasks.borg.recorder._write", dies)
        with pytest.raises(Killed):
            change(scene)
    assert "a change of the passphrase by" in (scene.row().error or "")
    assert key.exists()
    said = change(scene)
    assert any("changed already" in line for line in said) == (step != "before"), said
    assert key.read_bytes() != former
    assert len(archives(opened(scene).repository, how=QUICK).archives) == 3
    with pytest.raises(BorgError, match="passphrase"):
        archives(scene.opened.repository, how=QUICK)
    assert "passphrase by" not in (scene.row().error or "")
    assert "key was changed" not in (scene.row().error or "")


def test_no_room_in_escrow_says_that_the_passphrase_is_changed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.borg.client.key_export.replace_whole", full)
        with pytest.raises(
            AppError, match=r"the passphrase is changed, and the key is not in escrow yet.*No space"
        ) as told:
            change(scene)
    assert "run the same command again" in told.value.remedy
    change(scene)
    assert "key was changed" not in (scene.row().error or "")


def test_a_thief_who_changes_it_after_the_announcement_is_not_taken_for_us(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(borg_change_passphrase, "change", dies)
        with pytest.raises(Killed):
            change(scene)
    borg_change_passphrase.change(scene.host, Secret("mine"), QUICK)
    with pytest.raises(RefusedError, match="passphrase is wrong"):
        change(scene)


def test_a_change_that_an_earlier_version_left_half_done_is_ended(scene: Scene) -> None:
    """It announced nothing."""
    borg_change_passphrase.change(scene.opened.repository, NEW, QUICK)
    with pytest.raises(RefusedError):
        change(scene, Secret("a third one"))
    assert any("changed already" in line for line in change(scene))
    assert "key was changed" not in (scene.row().error or "")
