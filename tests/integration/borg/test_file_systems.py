"""File systems inside a path, as hosts really have them: subvolumes of btrfs, overlays, a chroot's proc, bind mounts."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tasks.borg.client.create import Created, FilesOptions, create
from tasks.borg.client.list import contents
from tasks.storage.repository import Repository


def run(*words: str | Path) -> None:
    subprocess.run(tuple(map(str, words)), check=True, capture_output=True)


def saved(repository: Repository, *paths: Path, **more: Any) -> Created:
    return create(repository, FilesOptions("one", tuple(map(str, paths)), **more))


def held(repository: Repository) -> set[str]:
    return {"/" + entry.path for entry in contents(repository, "one")}


@pytest.fixture
def mounting() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def mounted(mounting: ExitStack, place: Path, *words: str | Path) -> Path:
    place.mkdir(exist_ok=True, parents=True)
    run("mount", *words, place)
    mounting.callback(run, "umount", "-l", place)
    return place


def wrote(path: Path) -> Path:
    path.write_text(path.name)
    return path


@pytest.fixture
def disk(mounting: ExitStack, tmp_path: Path) -> Path:
    """A file system of btrfs: `srv` holds a file, the subvolume `orders`, and in it the subvolume `2026`."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    run("mkfs.btrfs", "-q", image)
    place = mounted(mounting, tmp_path / "disk", "-o", "loop", image)
    (place / "srv").mkdir()
    wrote(place / "srv" / "index")
    for volume in ("srv/orders", "srv/orders/2026"):
        run("btrfs", "subvolume", "create", place / volume)
        wrote(place / volume / "order")
    return place


def test_subvolumes_inside_a_path_are_named_until_the_inventory_decides(repository: Repository, disk: Path) -> None:
    made = saved(repository, disk / "srv")
    assert made.verdict.first == (f"{disk}/srv/orders: is a file system of its own (a btrfs subvolume)",)
    assert f"{disk}/srv/orders/order" not in held(repository)


@pytest.mark.parametrize(
    ("options", "left", "files"),
    [
        ({"mounts": "cross"}, (), 3),
        ({"mounts": "leave"}, ("{}/srv/orders (a btrfs subvolume)",), 1),
        ({"exclude": ("*/orders",)}, (), 1),
        ({"mounts": "cross", "exclude": ("*/2026",)}, (), 2),
    ],
    ids=str,
)
def test_the_inventory_decides_of_subvolumes(
    repository: Repository, disk: Path, options: dict[str, Any], left: tuple[str, ...], files: int
) -> None:
    made = saved(repository, disk / "srv", **options)
    assert made.verdict.left_out == 0
    assert (made.left, made.files) == (tuple(each.format(disk) for each in left), files)


def test_a_subvolume_that_is_a_path_of_its_own_is_saved_and_the_one_in_it_named(
    repository: Repository, disk: Path
) -> None:
    made = saved(repository, disk / "srv", disk / "srv" / "orders")
    assert made.verdict.first == (f"{disk}/srv/orders/2026: is a file system of its own (a btrfs subvolume)",)
    assert f"{disk}/srv/orders/order" in held(repository)


def test_a_subvolume_that_is_mounted_inside_a_path_is_named_once(
    repository: Repository, disk: Path, mounting: ExitStack, tmp_path: Path
) -> None:
    place = mounted(mounting, disk / "srv" / "here", "-o", "loop,subvol=srv/orders", tmp_path / "image")
    made = saved(repository, disk / "srv")
    assert [each for each in made.verdict.first if "here" in each] == [f"{place}: is a file system of its own (btrfs)"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "is a file system of its own (a btrfs subvolume)"),
        ({"mounts": "cross"}, "is the place of a btrfs subvolume that the snapshot does not hold"),
        ({"mounts": "leave"}, None),
        ({"mounts": "cross", "exclude": ("*/2026",)}, None),
    ],
    ids=str,
)
def test_what_a_snapshot_does_not_hold_is_named(
    repository: Repository, disk: Path, options: dict[str, Any], reason: str | None
) -> None:
    run("btrfs", "subvolume", "snapshot", "-r", disk / "srv" / "orders", disk / "shot")
    made = saved(repository, disk / "shot", **options)
    assert made.verdict.first == ((f"{disk}/shot/2026: {reason}",) if reason else ())
    assert made.files == 1


@pytest.fixture
def server(mounting: ExitStack, tmp_path: Path) -> Path:
    """A path with an overlay, a chroot's proc and a bind mount of another disk in it."""
    base = mounted(mounting, tmp_path / "base", "-t", "tmpfs", "none")
    top = base / "srv"
    top.mkdir()
    for name in ("lower", "upper", "work"):
        (base / name).mkdir()
    wrote(base / "lower" / "layer")
    wrote(top / "index")
    words = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    mounted(mounting, top / "merged", "-t", "overlay", "-o", words, "overlay")
    mounted(mounting, top / "chroot" / "proc", "-t", "proc", "proc")
    other = mounted(mounting, tmp_path / "other", "-t", "tmpfs", "none")
    wrote(other / "photo")
    mounted(mounting, top / "photos", "--bind", other)
    return top


def test_what_shows_other_files_and_the_kernels_own_are_nobodys_data(repository: Repository, server: Path) -> None:
    made = saved(repository, server)
    assert made.verdict.first == (f"{server}/photos: is a file system of its own (tmpfs)",)


def test_crossing_saves_other_disks_and_nothing_of_the_kernels(repository: Repository, server: Path) -> None:
    made = saved(repository, server, mounts="cross")
    assert made.verdict.left_out == 0
    names = held(repository)
    assert f"{server}/photos/photo" in names
    assert f"{server}/chroot/proc" in names
    assert not any(name.startswith(f"{server}/chroot/proc/") for name in names)


def test_an_overlay_that_is_a_path_is_saved(repository: Repository, server: Path) -> None:
    made = saved(repository, server / "merged")
    assert (made.verdict.left_out, made.files) == (0, 1)
