"""Rollbacks after rollbacks: a transaction's number is no identity, and what a rollback did can be undone."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.prune as fleet_prune
from tasks.borg import former_state, removal, rollback, verbs
from tasks.borg.client.delete import delete
from tasks.borg.client.extract import ExtractOptions, extract
from tasks.errors import AppError, RefusedError, UsageError
from tasks.storage import set_aside
from tests.integration.attack.support import QUICK, Scene
from tests.integration.fleet.support import Operator


def backup(scene: Scene) -> str:
    """Save again and return the archive's name."""
    before = scene.listed()
    Path(scene.new).write_bytes(os.urandom(60_000))
    assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) == 0
    (made,) = set(scene.listed()) - set(before)
    return made


def back(scene: Scene, to: int) -> list[str]:
    return list(verbs.roll_back(scene.opened, to, None, ask=lambda _: True))


def undo(scene: Scene) -> list[str]:
    return list(verbs.roll_back(scene.opened, None, None, undo=True, ask=lambda _: True))


def transactions(scene: Scene) -> dict[str, int]:
    """Return the transaction after which each archive was there."""
    folder = scene.lab.box.home() / "cloudbackup/records/shop"
    told = [json.loads(path.read_text()) for path in sorted(folder.iterdir()) if "-backup-" in path.name]
    return {record["archive"]: record["transaction"] for record in told}


def newest(scene: Scene, action: str) -> dict[str, object]:
    folder = scene.lab.box.home() / "cloudbackup/records/shop"
    found: dict[str, object] = json.loads(max(folder.glob(f"*-{action}-*")).read_text())
    return found


def thief(scene: Scene, *names: str) -> None:
    delete(scene.host, names, QUICK)


def readable(scene: Scene, archive: str, folder: Path) -> bytes:
    extract(scene.opened.repository, ExtractOptions(archive, [scene.new]), str(folder), QUICK)
    return (folder / scene.new.lstrip("/")).read_bytes()


def test_a_theft_after_a_rollback_is_undone_and_not_only_said_to_be(scene: Scene, tmp_path: Path) -> None:
    """The first rollback frees the numbers that the next backup and the theft take again."""
    oldest = min(scene.before)
    back(scene, transactions(scene)[oldest])
    made = backup(scene)
    content, whole = Path(scene.new).read_bytes(), scene.listed()
    number = transactions(scene)[made]
    thief(scene, made, oldest)
    points = list(_points(scene))
    assert [point for point in points if point == number] == [number]
    said = back(scene, number)
    assert scene.listed() == whole, said
    assert readable(scene, made, tmp_path) == content
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
    assert removal.intend_compact(scene.target).reasons == ()


def _points(scene: Scene) -> Iterator[int]:
    lines = verbs.roll_back(scene.opened, None, None, ask=lambda _: True)
    with suppress(UsageError):  # name one of these
        yield from (int(line.split()[0]) for line in lines if line.split()[0].isdigit())


def test_a_mistaken_rollback_is_undone_and_that_again(scene: Scene, tmp_path: Path) -> None:
    oldest, _, last = sorted(scene.before)
    first = transactions(scene)[oldest]
    back(scene, first)
    assert set(scene.listed()) == {oldest}
    said = undo(scene)
    assert scene.listed() == scene.before, said
    assert readable(scene, oldest, tmp_path) == scene.content
    assert scene.row().error is None
    undo(scene)
    assert set(scene.listed()) == {oldest}
    undo(scene)
    assert scene.listed() == scene.before
    assert last in scene.listed()
    assert backup(scene) in scene.listed()
    assert scene.row().error is None
    with pytest.raises(UsageError, match="cannot go back there"):
        back(scene, 1_000_000)


def test_what_was_saved_after_a_rollback_is_kept_when_that_is_undone(scene: Scene) -> None:
    oldest = min(scene.before)
    back(scene, transactions(scene)[oldest])
    made = backup(scene)
    undo(scene)
    assert scene.listed() == scene.before
    undo(scene)
    assert set(scene.listed()) == {oldest, made}
    assert scene.row().error is None


def test_a_rollback_that_does_not_bring_what_it_foretold_has_failed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief(scene, *scene.before)
    monkeypatch.setattr(set_aside, "take", lambda *_: 0)  # moves nothing: as an undone transaction's number did
    with pytest.raises(AppError, match=r"not what was foretold.* did not come back"):
        back(scene, scene.transaction)
    record = newest(scene, "rollback")
    assert record["outcome"] == "failed"
    assert "known_ids" not in json.dumps(record)
    monkeypatch.undo()
    with pytest.raises(RefusedError, match="not in the repository"):
        removal.intend_compact(scene.target)
    back(scene, scene.transaction)
    assert scene.listed() == scene.before


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", ["_moved", "_forgotten", "_key", "refuse_damaged", "_details"])
@pytest.mark.parametrize("undone", [False, True])
def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str, undone: bool
) -> None:
    oldest = min(scene.before)
    to = transactions(scene)[oldest]

    def run() -> list[str]:
        return undo(scene) if undone else back(scene, to)

    def dies(*_: object) -> None:
        raise Killed

    if undone:
        back(scene, to)
    with monkeypatch.context() as patch:
        patch.setattr(rollback if hasattr(rollback, step) else former_state, step, dies)
        with pytest.raises(Killed):
            run()
    assert "a rollback by" in (scene.row().error or "")
    with pytest.raises(RefusedError):
        removal.intend_compact(scene.target)
    run()
    assert scene.listed() == (scene.before if undone else {oldest: scene.before[oldest]})
    assert scene.row().error is None


def test_killed_in_the_middle_of_the_segments(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    oldest = min(scene.before)
    to = transactions(scene)[oldest]
    rename, moves = set_aside._move, []  # the step that a kill interrupts

    def dies_later(*given: object) -> None:
        moves.append(1)
        if len(moves) == 4:
            raise Killed
        rename(*given)  # type: ignore[arg-type]

    for _ in range(2):  # there, and back again
        moves.clear()
        with monkeypatch.context() as patch:
            patch.setattr(set_aside, "_move", dies_later)
            with pytest.raises(Killed):
                back(scene, to) if len(scene.listed()) == 3 else undo(scene)
        lock = scene.lab.box.home() / "cloudbackup/shop/lock.exclusive"
        assert lock.exists()  # nobody writes into what is half taken back
        with pytest.raises(RefusedError, match="a rollback that has not ended holds the lock"):
            list(verbs.remove_lock(scene.opened, ask=lambda _: True))
        back(scene, to) if (scene.row().error or "").count("rollback") and not _undoing(scene) else undo(scene)
    assert scene.listed() == scene.before


def _undoing(scene: Scene) -> bool:
    return "undid" in json.dumps(newest(scene, "intent"))


def test_what_is_set_aside_is_listed_counted_and_removed_behind_the_guard(scene: Scene) -> None:
    operator = Operator(scene.lab.inventory)
    back(scene, transactions(scene)[min(scene.before)])
    (folder,) = (scene.lab.box.home() / "cloudbackup").glob("shop.before-rollback-*")
    listed = operator.inv("borg.rollback", "--app=shop")
    assert (listed.returncode, f"set aside: {folder.name}" in listed.stdout) == (2, True)
    assert folder.name in operator.done("storagebox.usage")
    scene.forge("mine", "2020-01-01T00:00:00")
    refused = operator.inv("borg.rollback", "--app=shop", f"--remove={folder.name}", "--yes")
    assert (refused.returncode, folder.exists()) == (5, True), refused.stderr
    operator.done("borg.rollback", "--app=shop", f"--remove={folder.name}", "--yes", "--force")
    assert not folder.exists()
    with pytest.raises(UsageError, match="no rollback that can be undone"):
        undo(scene)


def test_no_undo_once_space_was_freed(scene: Scene) -> None:
    """What was freed since may be what the undone archives need."""
    back(scene, transactions(scene)[sorted(scene.before)[1]])
    options = fleet_prune.Options()
    assert fleet_prune.run(str(scene.lab.inventory), options, lambda _: True) == 0
    list(verbs.free_space(scene.opened, force=False, ask=lambda _: True))
    with pytest.raises(UsageError, match="space was freed since"):
        undo(scene)
