"""A fingerprint tells every difference that a backup could make."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree.make(tmp_path / "tree", megabytes=1)
    return tmp_path / "tree"


def keeping_time(path: Path, act: Callable[[Path], object]) -> None:
    about = path.lstat()
    act(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_the_tree_holds_what_a_backup_can_get_wrong(folder: Path) -> None:
    found = tree.fingerprint(folder)

    assert {f"documents/{name}" for name in tree.ODD_NAMES} < found.keys()
    assert found["links/dangling"].endswith("-> /nonexistent/place")
    assert "2 names" in found["links/hard"]
    assert found["empty"].startswith("drwx")
    sparse = (folder / "sparse.img").stat()
    assert sparse.st_blocks * 512 < sparse.st_size


def test_two_fingerprints_of_one_tree_are_equal(folder: Path) -> None:
    assert tree.differences(tree.fingerprint(folder), tree.fingerprint(folder)) == []


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("sparse.img", lambda path: path.write_bytes(path.read_bytes()[:-1] + b"D")),
        ("documents/2026/private.txt", lambda path: path.chmod(0o640)),
        ("documents/-leading-dash.txt", lambda path: (path.parent / "another name").hardlink_to(path)),
        ("empty", lambda path: path.chmod(0o700)),
    ],
)
def test_every_change_shows(folder: Path, name: str, act: Callable[[Path], object]) -> None:
    before = tree.fingerprint(folder)
    keeping_time(folder / name, act)

    assert any(line.startswith(f"{name!r}:") for line in tree.differences(before, tree.fingerprint(folder)))


def test_a_changed_time_shows(folder: Path) -> None:
    before = tree.fingerprint(folder)
    os.utime(folder / "empty", ns=(0, (folder / "empty").stat().st_mtime_ns + 1))

    assert [line.split(":")[0] for line in tree.differences(before, tree.fingerprint(folder))] == ["'empty'"]


def test_caches_are_left_out_on_demand(folder: Path) -> None:
    assert not any(name.startswith("cache") for name in tree.fingerprint(folder, excluding_caches=True))
    assert "cache/recomputable" in tree.fingerprint(folder)


def test_change_changes_adds_and_removes(folder: Path) -> None:
    before = tree.fingerprint(folder)
    tree.change(folder, seed=7)
    after = tree.fingerprint(folder)

    assert after.keys() - before.keys() == {"uploads/new-7.bin"}
    assert len(before.keys() - after.keys()) == 1
    assert len(tree.differences(before, after)) > 4
