"""A restore of files is whole, or it failed and says how much came; nothing is put in place then."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.host import places
from tasks.borg.restore import restore_in_place, restore_to
from tasks.errors import AppError
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
STAMP = "2026-11-23T04-05-06"


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """Give a folder a file system of its own, in memory."""
    place.mkdir(exist_ok=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "none", str(place)), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", "-l", str(place)), check=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    top = tmp_path / "srv" / "shop"
    top.mkdir(parents=True)
    for number in range(200):
        (top / f"file-{number}").write_text(f"content {number}")
    return top


def wrapped(tmp_path: Path, borg: Path, before_extract: str) -> None:
    """Let something happen on the host just when borg begins to extract, in the folder where it does."""
    (tmp_path / "bin/borg").unlink()
    (tmp_path / "bin/borg").write_text(
        f'#!/bin/bash\ncase " $* " in *" extract "*) {before_extract};; esac\nexec {borg} "$@"\n'
    )
    (tmp_path / "bin/borg").chmod(0o755)


def test_too_few_inodes_are_seen_before_anything_is_written(repository: Repository, shop: Path, tmp_path: Path) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    with mounted(tmp_path / "small", "nr_inodes=100") as small:
        with pytest.raises(AppError, match=r"9\d inodes free, 217 are needed"):
            restore_to(repository, "one", str(small))
        assert list(small.iterdir()) == []


@pytest.mark.parametrize("what", ["inodes", "space"])
def test_a_disk_that_fills_meanwhile_ends_the_restore_at_once(
    repository: Repository, borg: Path, shop: Path, tmp_path: Path, what: str
) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    # in borg's own folder: the wall lets what it starts write nowhere else
    fill = {"inodes": "touch other-{1..900}", "space": "head -c 100M /dev/zero > other"}[what]
    with mounted(tmp_path / "srv", "size=40m,nr_inodes=1000") as small:
        (small / "shop").mkdir()
        (small / "shop/file-1").write_text("newer")
        wrapped(tmp_path, borg, f"({fill}) 2>/dev/null")
        with pytest.raises(AppError, match="was not restored: the file system or its quota is full") as caught:
            restore_in_place(repository, "one", (str(small / "shop"),), NOW)
        assert "what was there is as it was" in caught.value.remedy
        assert [path.name for path in small.rglob("*")] == ["shop", "file-1"]
        assert (small / "shop/file-1").read_text() == "newer"


def test_what_is_missing_is_counted_and_named(repository: Repository, borg: Path, shop: Path, tmp_path: Path) -> None:
    """A loss of which borg says nothing."""
    create(repository, FilesOptions("one", (str(shop),)))
    lossy = f'{borg} "$@" || exit; rm .{shop}/file-7; : > .{shop}/file-8; exit 0'
    wrapped(tmp_path, borg, lossy)
    with pytest.raises(
        AppError, match=r"199 of 201 entries came whole: \S+/file-7: No such file.*0 of 9 bytes"
    ) as caught:
        restore_to(repository, "one", str(tmp_path / "target"))
    kept = tmp_path / "target" / "incomplete"
    assert f"what came is in {kept}" in caught.value.remedy
    assert len(list(kept.rglob("file-*"))) == 199
    before = sorted(shop.iterdir())
    wrapped(tmp_path, borg, f'{borg} "$@" || exit; rm shop/file-7; exit 0')
    with pytest.raises(AppError, match="200 of 201 entries came whole"):
        restore_in_place(repository, "one", (str(shop),), NOW)
    assert sorted(shop.iterdir()) == before
    assert sorted(shop.parent.iterdir()) == [shop]


def test_the_longest_path_fits_below_the_short_staging_folder_or_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    top = tmp_path / "srv"
    top.mkdir()
    room = 4095 - len(bytes(top)) - len("/.cb0")
    names = [b"d" * 200] * ((room - 20) // 201)
    last = b"f" * (room - 201 * len(names) - 1)
    deep = deepen(top / "shop", names[:-1])
    for name, fits in ((last[: len(last) - len("/shop")], True), (last, False)):
        folder = os.open(deep, os.O_PATH)
        os.mkdir(b"e" * 200, dir_fd=folder)
        inner = os.open(b"e" * 200, os.O_PATH, dir_fd=folder)
        with os.fdopen(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=inner), "w") as file:
            file.write("deep")
        archive = f"fits-{fits}"
        create(repository, FilesOptions(archive, (str(top / "shop"),)))
        if fits:
            restore_in_place(repository, archive, (str(top / "shop"),), NOW)
            assert Path(os.fsdecode(bytes(deep) + b"/" + b"e" * 200 + b"/" + name)).read_text() == "deep"
        else:
            with pytest.raises(AppError, match="the longest path would have 4"):
                restore_in_place(repository, archive, (str(top / "shop"),), NOW.replace(day=24))
        subprocess.run(("rm", "-rf", str(top / "shop")), check=True)
        deepen(top / "shop", names[:-1])
        os.close(inner)
        os.close(folder)


def deepen(top: Path, names: list[bytes]) -> Path:
    for name in names:
        top = top / os.fsdecode(name)
    top.mkdir(parents=True)
    return top


def test_an_immutable_folder_is_refused_by_name_and_nothing_stays(
    repository: Repository, shop: Path, tmp_path: Path
) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    places.set_flags(shop, places.flags(shop) | 0x10)
    try:
        with pytest.raises(AppError, match=f"{shop} is immutable.*`chattr -i -a {shop}` first"):
            restore_in_place(repository, "one", (str(shop),), NOW)
        assert list(shop.parent.iterdir()) == [shop]
    finally:
        places.set_flags(shop, places.flags(shop) & ~0x10)


def test_what_was_saved_immutable_comes_back_immutable_and_nothing_else_stays(
    repository: Repository, shop: Path, tmp_path: Path
) -> None:
    for path in (shop / "file-3", shop):
        places.set_flags(path, places.flags(path) | 0x10)
    create(repository, FilesOptions("one", (str(shop),)))
    places.set_flags(shop, places.flags(shop) & ~0x10)
    aside = Path(f"{shop}.before-restore-{STAMP}")
    try:
        done = restore_in_place(repository, "one", (str(shop),), NOW)
        assert done.doubts == ()
        assert places.flags(shop) & 0x10
        assert places.flags(shop / "file-3") & 0x10
        assert sorted(shop.parent.iterdir()) == [shop, aside]
    finally:
        for path in (shop, shop / "file-3", aside / "file-3"):
            if path.exists():
                places.set_flags(path, places.flags(path) & ~0x10)


def test_hard_links_across_two_paths_stay_hard_links(repository: Repository, tmp_path: Path) -> None:
    one, two = tmp_path / "srv" / "one", tmp_path / "other" / "two"
    for each in (one, two):
        each.mkdir(parents=True)
    (one / "file").write_text("both")
    (two / "name").hardlink_to(one / "file")
    create(repository, FilesOptions("one", (str(one), str(two))))
    done = restore_in_place(repository, "one", (str(two), str(one)), NOW)
    assert (one / "file").samefile(two / "name")
    assert (one / "file").read_text() == "both"
    assert done.remarks == ()
    alone = restore_in_place(repository, "one", (str(two),), NOW.replace(day=24))
    assert (two / "name").read_text() == "both"
    assert not (one / "file").samefile(two / "name")
    assert len(alone.remarks) == 1
    assert alone.remarks[0].startswith("1 hard links to files outside of what came are files of their own now")


def test_a_damaged_archive_fails_and_keeps_what_came(repository: Repository, shop: Path, tmp_path: Path) -> None:
    """`borg check --repair` puts zeros in the place of lost chunks: each file is there and has its size."""
    (shop / "big").write_bytes(os.urandom(3_000_000))
    create(repository, FilesOptions("one", (str(shop),)))
    segments = sorted(Path(repository.url, "data").rglob("*"), key=lambda path: path.stat().st_size)
    data = bytearray(segments[-1].read_bytes())
    data[1_000_000] ^= 0xFF
    segments[-1].write_bytes(bytes(data))
    clear = {
        key: value.reveal() if isinstance(value, Secret) else value for key, value in repository.environment.items()
    }
    repairing = {**os.environ, **clear, "BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "YES"}
    subprocess.run(("borg", "check", "--repair"), env=repairing, check=False, capture_output=True)
    with pytest.raises(AppError, match=r"was not restored: .*big") as caught:
        restore_to(repository, "one", str(tmp_path / "target"))
    assert (tmp_path / "target/incomplete" / str(shop)[1:] / "file-7").read_text() == "content 7"
    assert "is not whole" in caught.value.remedy
    before = (shop / "big").read_bytes()
    with pytest.raises(AppError, match="was not restored"):
        restore_in_place(repository, "one", (str(shop),), NOW)
    assert (shop / "big").read_bytes() == before


def test_a_stray_module_in_the_logins_home_is_not_run(
    repository: Repository, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("json", "shutil", "tempfile"):
        (home / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    create(repository, FilesOptions("one", (str(shop),)))
    monkeypatch.chdir(home)
    restore_to(repository, "one", str(tmp_path / "target"))
    restore_in_place(repository, "one", (str(shop),), NOW)
    assert not (tmp_path / "run").exists()
