"""A change of several places that fails at one of them takes all back."""

from pathlib import Path

import pytest

from tasks.borg.host.places import Place, Stuck, swap


def place(folder: Path, name: str, *, fresh: bool = True) -> Place:
    """A folder with old data, and, unless `fresh` is false, new data beside it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "data").write_text("old")
    made = Place(str(folder / name), "now")
    made.staging = folder / f"{name}.staging"
    made.fresh = made.staging / name
    if fresh:
        made.fresh.mkdir(parents=True)
        (made.fresh / "data").write_text("new")
    return made


def test_all_are_replaced(tmp_path: Path) -> None:
    places = [place(tmp_path, "one"), place(tmp_path, "two")]
    swap(places)
    assert [(each.path / "data").read_text() for each in places] == ["new", "new"]
    assert [(each.aside / "data").read_text() for each in places] == ["old", "old"]


def test_none_is_when_one_fails(tmp_path: Path) -> None:
    places = [place(tmp_path, "one"), place(tmp_path, "two", fresh=False), place(tmp_path, "three")]
    with pytest.raises(FileNotFoundError):
        swap(places)
    assert [(each.path / "data").read_text() for each in places] == ["old"] * 3
    assert not [each.aside for each in places if each.aside.exists()]


def test_a_mount_point_is_changed_and_taken_back_by_its_contents(tmp_path: Path) -> None:
    one = place(tmp_path, "one")
    one.mounted = True
    one.aside, one.staging = one.path / ".before-restore-now", one.path / ".restoring-now"
    one.fresh.rename(tmp_path / "kept")
    one.staging.mkdir()
    one.fresh = one.staging / "one"
    (tmp_path / "kept").rename(one.fresh)
    one.fresh.chmod(0o711)
    with pytest.raises(FileNotFoundError):
        swap([one, place(tmp_path, "two", fresh=False)])
    assert (one.path / "data").read_text() == "old"
    assert not one.aside.exists()
    assert one.path.stat().st_mode & 0o777 != 0o711
    swap([one])
    assert (one.path / "data").read_text() == "new"
    assert (one.aside / "data").read_text() == "old"
    assert one.path.stat().st_mode & 0o777 == 0o711


def test_what_cannot_be_taken_back_says_where_the_old_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = place(tmp_path, "one")

    def fail() -> None:
        raise PermissionError(13, "Permission denied", "there")

    monkeypatch.setattr(one, "undo", fail)
    with pytest.raises(Stuck, match=r"one\.before-restore-now"):
        swap([one, place(tmp_path, "two", fresh=False)])
