"""A quota that is used up (EDQUOT): of the storage while it is written, of the folder where files are restored."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.init import init
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.borg.restore import restore_in_place, restore_to
from tasks.errors import AppError
from tasks.storage.repository import Repository
from tests.integration.borg.conftest import MakeRepository

NOW = datetime(2026, 11, 28, 4, 5, 6, tzinfo=UTC)
MB = 1 << 20


def run(*words: str | Path) -> None:
    subprocess.run(tuple(map(str, words)), check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 MB whose subvolume `full` may hold 16 MB; what `df` says is free is far more."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(512 * MB)
    run("mkfs.btrfs", "-q", image)
    run("mount", "-o", "loop", image, place)
    try:
        run("btrfs", "subvolume", "create", place / "full")
        run("btrfs", "quota", "enable", place)
        run("btrfs", "qgroup", "limit", "16M", place / "full")
        yield place
    finally:
        run("umount", "-l", place)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Files of 24 MB that do not compress."""
    top = tmp_path / "srv" / "shop"
    top.mkdir(parents=True)
    for number in range(24):
        (top / f"file-{number}").write_bytes(os.urandom(MB))
    return top


def test_a_restore_ends_at_once_and_keeps_nothing(repository: Repository, disk: Path, shop: Path) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    into = disk / "full" / "target"
    with pytest.raises(
        AppError, match=r"one was not restored: the file system or its quota is full: .*Errno 122"
    ) as to:
        restore_to(repository, "one", str(into))
    assert to.value.remedy == "make room there, or raise the quota; what was there is as it was"
    assert list((disk / "full").iterdir()) == []


def test_a_restore_in_place_changes_nothing(repository: Repository, disk: Path, shop: Path) -> None:
    live = disk / "full" / "shop"
    run("btrfs", "qgroup", "limit", "100M", disk / "full")
    shutil.copytree(shop, live)
    create(repository, FilesOptions("one", (str(live),)))
    shutil.rmtree(live)
    live.mkdir()
    (live / "newer").write_text("newer")
    run("btrfs", "filesystem", "sync", disk)
    run("btrfs", "qgroup", "limit", "16M", disk / "full")
    with pytest.raises(AppError, match=r"one was not restored: the file system or its quota is full: .*Errno 122"):
        restore_in_place(repository, "one", (str(live),), NOW)
    assert [path.name for path in (disk / "full").rglob("*")] == ["shop", "newer"]


def test_a_storage_without_quota_left_has_no_half_archive(
    make_repository: MakeRepository, disk: Path, shop: Path, tmp_path: Path
) -> None:
    repository = make_repository(url=str(disk / "full" / "storage"))
    init(repository, tmp_path / "escrow")
    create(repository, FilesOptions("zero", (str(shop / "file-1"),)))
    for todo in (lambda: create(repository, FilesOptions("one", (str(shop),))), lambda: archives(repository)):
        with pytest.raises(BorgError, match="shop: the storage is full") as caught:
            todo()
        assert "make room first" in caught.value.remedy
    run("btrfs", "qgroup", "limit", "100M", disk / "full")
    assert [each.name for each in archives(repository).archives] == ["zero"]
    made = create(repository, FilesOptions("two", (str(shop),)))
    assert (made.verdict.status, made.files) == ("ok", 24)
    check(repository, CheckOptions())
