"""What a rollback sets aside and brings back, killed at any step and done again, on a folder that looks like borg's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import RefusedError
from tasks.remote.files import LocalFiles
from tasks.storage import set_aside
from tasks.storage.set_aside import bring_back, folders, take

LOG = "transaction 5, UTC time 2026-11-22T01:00:00\ntransaction 1003, UTC time 2026-11-22T02:00:00\n"


class Killed(BaseException):
    """The process is gone."""


class Dying(LocalFiles):
    """Files that are changed so many times, and no more."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def _step(self) -> None:
        if self.steps == 0:
            raise Killed
        self.steps -= 1

    def rename(self, path: str, new: str) -> None:
        self._step()
        super().rename(path, new)

    def remove(self, path: str) -> None:
        self._step()
        super().remove(path)

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self._step()
        super().replace(path, data, mode)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    for number in (1, 5, 999, 1000, 1003):
        place = folder / "data" / str(number // 1000)
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number)).write_text(f"segment {number}")
    (folder / "config").write_text("[repository]\nsegments_per_dir = 1000\nid = x\n")
    (folder / "transactions").write_text(LOG)
    for kind in ("index", "hints", "integrity"):
        (folder / f"{kind}.1003").write_text(kind)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def at_every_step(act: Callable[[LocalFiles], object]) -> int:
    """Do it with one step more each time, until it comes to its end; return how many that took."""
    for steps in range(200):
        try:
            act(Dying(steps if steps else 0))
        except Killed:
            continue
        return steps
    raise AssertionError("it never ends")


def test_killed_at_any_step_it_comes_to_the_same(repository: Path) -> None:
    before, aside, instead = content(repository), f"{repository}.before-rollback-1", f"{repository}.before-rollback-2"
    assert at_every_step(lambda files: take(files, str(repository), 5, aside)) > 3
    assert sorted(each for each in content(repository) if each.startswith("data")) == ["data/0/1", "data/0/5"]
    assert content(repository)["transactions"] == LOG.splitlines(keepends=True)[0]
    assert [Path(each).name for each in folders(LocalFiles(), str(repository))] == ["shop.before-rollback-1"]
    (repository / "data/0/6").write_text("made since")
    at_every_step(lambda files: bring_back(files, str(repository), 5, aside, instead))
    assert content(repository) == before
    assert content(Path(instead))["6"] == "made since"
    assert not Path(aside).exists()
    bring_back(LocalFiles(), str(repository), 5, aside, instead)  # once more: nothing is left to do
    assert content(repository) == before


def test_there_and_back_as_often_as_one_likes(repository: Path) -> None:
    before, names = content(repository), [f"{repository}.before-rollback-{each}" for each in range(4)]
    take(LocalFiles(), str(repository), 5, names[0])
    without = content(repository)
    for number in range(3):
        bring_back(LocalFiles(), str(repository), 5, names[number], names[number + 1])
        left = {name: text for name, text in content(repository).items() if not set_aside._AUXILIARY.fullmatch(name)}
        wanted = without if number % 2 else before
        assert left == {name: text for name, text in wanted.items() if not set_aside._AUXILIARY.fullmatch(name)}


def test_a_whole_folder_is_removed_and_no_link_followed(tmp_path: Path) -> None:
    aside, elsewhere = tmp_path / "shop.until-1", tmp_path / "elsewhere"
    (aside / "data/0").mkdir(parents=True)
    (aside / "data/0/1").write_text("segment")
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (aside / "data/1").symlink_to(elsewhere)
    set_aside.remove(LocalFiles(), str(aside))
    assert not aside.exists()
    assert (elsewhere / "kept").exists()


def test_what_was_written_into_a_repository_half_taken_back_is_kept_apart(repository: Path) -> None:
    """By somebody who broke the lock; the numbers are those of segments that were moved already."""
    before, files = content(repository), LocalFiles()
    aside, instead = f"{repository}.before-rollback-A", f"{repository}.before-rollback-B"
    with pytest.raises(Killed):
        take(Dying(6), str(repository), 5, aside)
    assert (Path(aside) / "1003").exists()
    (repository / "data/1/1003").write_text("a backup's")
    with pytest.raises(RefusedError, match="--undo"):
        take(files, str(repository), 5, aside)
    set_aside.take_rest(files, str(repository), 5, aside, instead)
    bring_back(files, str(repository), 5, aside, instead)
    assert content(repository) == before
    assert (Path(instead) / "1003").read_text() == "a backup's"


def test_once_all_was_moved_what_is_written_since_stays(repository: Path) -> None:
    aside = f"{repository}.before-rollback-A"
    take(LocalFiles(), str(repository), 5, aside)
    (repository / "data/0/6").write_text("a backup's")
    take(LocalFiles(), str(repository), 5, aside)
    assert (repository / "data/0/6").read_text() == "a backup's"
