"""A thief's archive by every way on which its files come out: in place, a path of it, `borg.extract`, and a drill."""

import shutil
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg import canary, read_back
from tasks.borg.canary import Place
from tasks.borg.read_back import Aim
from tasks.borg.restore import Trust, restore_in_place, restore_to
from tasks.borg.selection import selected
from tasks.errors import CloudbackupError
from tasks.inventory.files import VerifyFiles
from tasks.storage.repository import Repository
from tests.integration.borg.conftest import BORGS
from tests.integration.borg.test_hostile import SHAPES, Member, file, folder, hard, imported, link, unharmed

Way = Callable[[Repository, Path, Path], None]
LONG = "/".join(["n" * 200] * 30)
MORE: dict[str, Callable[[str], list[Member]]] = {
    "absolute": lambda out: [file(f"{out}/pwned"), file(f"/{out}/pwned")],
    "a file, then a folder of its name": lambda _: [file("srv/d"), folder("srv/d"), file("srv/d/x")],
    "a folder, then a file of its name": lambda _: [folder("srv/d"), file("srv/d/x"), file("srv/d")],
    "a device": lambda _: [("srv/disk", tarfile.BLKTYPE, "", 0o666), ("srv/mem", tarfile.CHRTYPE, "", 0o666)],
    "a FIFO": lambda _: [("srv/pipe", tarfile.FIFOTYPE, "", 0o666), file("srv/x")],
    "setuid": lambda _: [file("srv/sh", mode=0o6755), file("srv/sh2", mode=0o4711)],
    "a long name": lambda out: [file(f"srv/{LONG}"), link("srv/l", out), file("srv/x")],
    "control characters": lambda _: [file("srv/\x1b]52;c;eA==\x07"), file("srv/\u202e\n\r\x00"[:-1]), file("srv/a\nb")],
    "a hard link to a device": lambda _: [("srv/disk", tarfile.BLKTYPE, "", 0o666), hard("srv/copy", "srv/disk")],
    "a hard link to itself": lambda _: [hard("srv/x", "srv/x")],
    "a link to its own parent": lambda _: [link("srv/up", ".."), file("srv/up/pwned")],
    "a link of two spellings": lambda out: [link("srv/L", out), file("srv/l/x"), file("srv/L/pwned")],
}  # fmt: skip
"""Members below srv, which is what is restored in place."""


def placed(members: list[Member], place: str) -> list[Member]:
    """Return the members with `place` for `srv`, of hard links as well."""

    def put(path: str) -> str:
        head, rest = ("./", path[2:]) if path.startswith("./") else ("", path)
        return f"{head}{place}{rest.removeprefix('srv')}" if rest == "srv" or rest.startswith("srv/") else path

    return [
        (put(path), kind, put(content) if kind == tarfile.LNKTYPE else content, mode)
        for path, kind, content, mode in members
    ]


def require_harmless(top: Path, outside: Path) -> None:
    """Nothing below it runs as root, is a device, or is a file from outside; nothing outside has changed."""
    for path in top.rglob("*"):
        kind = path.lstat().st_mode
        assert not stat.S_ISBLK(kind)
        assert not stat.S_ISCHR(kind)
        assert stat.S_ISLNK(kind) or not kind & 0o6000
    assert unharmed(outside)
    assert (outside / "secret").stat().st_nlink == 1


def refusal(way: Way, repository: Repository, live: Path, new: Path) -> str:
    """Return why nothing came by a way; empty if it came."""
    try:
        way(repository, live, new)
    except CloudbackupError as error:
        return error.what
    return ""


def in_place(repository: Repository, live: Path, _new: Path) -> None:
    restore_in_place(repository, ALL, (str(live),), datetime.now(UTC), Trust(known=True))


def a_path_in_place(repository: Repository, live: Path, _new: Path) -> None:
    paths = selected(repository, ALL, (f"{live}/*",)).paths
    restore_in_place(repository, ALL, paths, datetime.now(UTC), Trust(partial=True))


def a_path_to_a_folder(repository: Repository, live: Path, new: Path) -> None:
    restore_to(repository, ALL, str(new), (str(live),), Trust(private=True, known=True))


def a_drill_of_known_files(repository: Repository, live: Path, new: Path) -> None:
    asked = VerifyFiles(paths=(str(live),), commands=(("test", "-e", "/"),))
    canary.judge(repository, ALL, asked, Place(str(new.parent)))


ALL = "all-shapes"
OTHERS = (a_path_in_place, a_path_to_a_folder, a_drill_of_known_files)
# The others may come, and harm nobody; of "a dot before" the link is not among what is restored.
NEVER = {*SHAPES, "a device", "a hard link to a device"} - {"a dot before"}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text("precious")
    return place


def test_no_shape_comes_out_by_any_way(repository: Repository, borg: Path, outside: Path, tmp_path: Path) -> None:
    """Refused, or what came is harmless; what was there in place is there still, and no folder of ours is left."""
    shapes = {**SHAPES, **MORE}
    top, work = tmp_path / "live", tmp_path / "work"
    work.mkdir()
    tops = {shape: top / str(number) for number, shape in enumerate(shapes)}
    every = [each for shape, live in tops.items() for each in placed(shapes[shape](str(outside)), str(live)[1:])]
    imported(repository, every, ALL)
    came = set()
    for number, (shape, live) in enumerate(tops.items()):
        # Each borg takes in place what the other brings out by another way.
        way = in_place if number % 2 == BORGS.index(str(borg)) % 2 else OTHERS[number // 2 % len(OTHERS)]
        live.mkdir(parents=True)
        (live / "mine").write_text("mine")
        why = refusal(way, repository, live, work / "new")
        if not why:
            came.add(shape)
        else:
            assert why.isprintable(), shape
            assert [path.name for path in live.iterdir()] == ["mine"], (shape, way)
            assert [path.name for path in top.iterdir()] == [live.name], (shape, way)
            assert not (work / "new").exists() or [path.name for path in (work / "new").iterdir()] == ["incomplete"]
        assert [path.read_text() for path in top.rglob("mine")] == ["mine"], (shape, way)
        require_harmless(top, outside)
        require_harmless(work, outside)
        shutil.rmtree(top)
        shutil.rmtree(work / "new", ignore_errors=True)
        assert not list(work.iterdir()), (shape, way)
    assert not came & NEVER


def test_a_drill_reads_them_all_and_writes_nothing(repository: Repository, outside: Path, tmp_path: Path) -> None:
    members = [each for shape in SHAPES.values() for each in shape(str(outside))]
    imported(repository, members, ALL)
    before = set(tmp_path.iterdir())
    with suppress(CloudbackupError):
        read_back.read_back(repository, ALL, Aim())
    assert set(tmp_path.iterdir()) == before
    assert unharmed(outside)
