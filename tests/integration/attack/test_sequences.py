"""Nothing is lost in whatever order things happen: damage, a colleague in the pause of a question, a prune that dies."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
from tasks.borg import removal, verbs
from tasks.borg.client.delete import delete
from tasks.borg.client.runner import How
from tasks.errors import RefusedError
from tasks.storage.repository import Repository
from tests.integration.attack.support import QUICK, Scene
from tests.killed import Killed, dies
from tests.segments import entries


@pytest.fixture(autouse=True)
def one_stays(scene: Scene) -> Iterator[None]:
    """Let `keep` be the newest archive alone, also for a colleague at the same inventory."""
    file = scene.lab.inventory / "apps/shop.yml"
    before = file.read_text()
    file.write_text(before + "\nkeep: {last: 1}\n")
    yield
    file.write_text(before)


def prune(scene: Scene, *, ask: Callable[[str], bool] = lambda _: True, **options: bool) -> int:
    return fleet_prune.run(str(scene.lab.inventory), fleet_prune.Options(**options), ask)  # type: ignore[arg-type]


def damage(scene: Scene) -> None:
    """Flip bytes of what the newest archive alone has: its 50 kB of random content."""
    data = scene.lab.box.home() / "cloudbackup/shop/data"
    segments = sorted((path for path in data.rglob("*") if path.is_file()), key=lambda path: int(path.name))
    content = len(Path(scene.new).read_bytes())
    segment, start = next(
        (path, start)
        for path in reversed(segments)
        for start, size in entries(path)
        if content < size < content + 500  # not compressible, and one chunk
    )
    whole = segment.read_bytes()
    middle = start + content // 2
    flipped = bytes(each ^ 0xFF for each in whole[middle : middle + 16])
    segment.write_bytes(whole[:middle] + flipped + whole[middle + 16 :])


def test_after_a_failed_check_and_drill_nothing_older_goes(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    _, middle, newest = sorted(scene.before)
    damage(scene)
    folder = str(scene.lab.inventory)
    assert fleet_check.run(folder, fleet_check.Options()) == 4
    assert prune(scene) == 5
    assert fleet_verify.run(folder, fleet_verify.Options(sample=None)) == 4
    assert prune(scene) == 5
    assert prune(scene, dry_run=True) == 5
    assert set(scene.listed()) == set(scene.before)
    said = capsys.readouterr().out
    assert "the check of" in said
    assert f"the restore drill of {newest} failed" in said
    # A person who insists loses what is older than the newest whole one, and no more: what failed never displaces it.
    assert prune(scene, force=True) == 0
    assert set(scene.listed()) == {middle, newest}


def test_a_colleague_who_deletes_what_should_stay_while_a_prune_asks(scene: Scene) -> None:
    newest = max(scene.before)

    def ask(_: str) -> bool:
        delete(scene.opened.repository, [newest], QUICK)
        return True

    assert prune(scene, ask=ask) == 5
    assert set(scene.listed()) == set(scene.before) - {newest}


def test_a_colleague_who_deletes_it_by_our_own_command(scene: Scene) -> None:
    newest = max(scene.before)

    def ask(_: str) -> bool:
        list(verbs.delete_archives(scene.opened, [newest], force=False, ask=lambda _: True))
        return True

    assert prune(scene, ask=ask) == 5
    assert set(scene.listed()) == set(scene.before) - {newest}
    assert prune(scene) == 0  # reckoned from what is there now
    assert set(scene.listed()) == {sorted(scene.before)[1]}


def test_a_colleague_who_rolls_back_what_should_stay(scene: Scene) -> None:
    points = transactions(scene)

    def ask(_: str) -> bool:
        list(verbs.roll_back(scene.opened, points[sorted(scene.before)[1]], None, ask=lambda _: True))
        return True

    assert prune(scene, ask=ask) == 5
    assert set(scene.listed()) == set(sorted(scene.before)[:2])


def test_what_should_stay_goes_between_the_last_look_and_the_delete(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made final: the repository is looked at once more, and a rollback brings all of it back."""
    newest = max(scene.before)

    def delete_with_a_colleague(repository: Repository, names: list[str], how: How) -> None:
        delete(repository, [*names, newest], how)

    with monkeypatch.context() as patch:
        patch.setattr(removal, "delete", delete_with_a_colleague)
        assert prune(scene) == 5
    assert scene.listed() == {}
    list(verbs.roll_back(scene.opened, scene.transaction, None, ask=lambda _: True))
    assert scene.listed() == scene.before


def test_a_backup_that_ends_in_the_pause_changes_nothing_that_was_shown(scene: Scene) -> None:
    oldest, middle, newest = sorted(scene.before)

    def ask(_: str) -> bool:
        assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) == 0
        return True

    assert prune(scene, ask=ask) == 0
    left = set(scene.listed())
    assert (newest in left, oldest in left, middle in left, len(left)) == (True, False, False, 2)


def test_the_last_good_archive_never_goes(scene: Scene) -> None:
    for force in (False, True):
        with pytest.raises(RefusedError, match="no good archive of files would remain") as caught:
            removal.intend_delete(scene.target, sorted(scene.before), force=force)
        assert caught.value.exit_code == 5
    assert scene.listed() == scene.before


def test_a_prune_that_died_before_the_space_was_freed_is_told_and_ended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(removal, "compact", dies)
        with pytest.raises(Killed):
            prune(scene)
    capsys.readouterr()
    data = scene.lab.box.home() / "cloudbackup/shop/data"
    before = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    assert prune(scene) == 0
    said = capsys.readouterr().out
    assert "has not ended: this run ends it" in said
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) < before - 50_000
    assert set(scene.listed()) == {max(scene.before)}
    assert prune(scene) == 0
    assert "has not ended" not in capsys.readouterr().out
    assert scene.row().error is None


def test_force_where_nothing_is_to_go_settles_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(scene) == 0
    scene.forge("shop-files-2020-01-01T00-00-00.checkpoint", "2020-01-01T00:00:00")
    assert prune(scene) == 0
    scene.forge("mine", "2020-01-01T00:00:00")
    capsys.readouterr()
    assert prune(scene, force=True) == 3
    assert "inv report.accept --app shop" in capsys.readouterr().out
    assert prune(scene) == 5


def transactions(scene: Scene) -> dict[str, int]:
    """Return the transaction after which each archive was there."""
    folder = scene.lab.box.home() / "cloudbackup/records/shop"
    told = [json.loads(path.read_text()) for path in sorted(folder.iterdir()) if "-backup-" in path.name]
    return {record["archive"]: record["transaction"] for record in told}
