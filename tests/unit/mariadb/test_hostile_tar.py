"""Archives of binary logs that a thief made: the program that unpacks them writes plain files with names of logs alone."""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mariadb.host import replay
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.point_in_time import PROGRAM

LOG = "binlog.000001"
KINDS = {
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "folder": tarfile.DIRTYPE,
    "FIFO": tarfile.FIFOTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "unknown": b"Z",
}
NAMES = ("../binlog.000001", "/tmp/binlog.000001", "a/binlog.000001", "binlog.000001/", "..", "", ".my.cnf", "bin\nlog.000001",
         "\x1b[2Jlog.000001", f"{'x' * 5000}.000001", "binlog.index", "binlog.0000000001", "binlog.\u0661")  # fmt: skip


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, target, mode
    return found


def packed(*members: tarfile.TarInfo, content: bytes = b"log") -> bytes:
    """Return a tar of these, each file with that content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in members:
            each.size = len(content) if each.isreg() else 0
            archive.addfile(each, io.BytesIO(content))
    return made.getvalue()


def unpack(folder: Path, archive: bytes) -> str:
    """Unpack, and return why that was refused; nothing may come beside its folder."""
    place, said = folder / "logs/1", ""
    before = {path for path in folder.rglob("*") if folder / "logs" not in (path, *path.parents)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(archive)))
        try:
            replay.extract(place)
        except (DrillFault, OSError, tarfile.TarError) as error:  # as `main` expects them
            said = str(error) or type(error).__name__
    for path in place.rglob("*"):
        assert path.is_file()
        assert not path.is_symlink()
        assert path.lstat().st_nlink == 1
        assert not path.stat().st_mode & 0o7000
    assert {path for path in folder.rglob("*") if folder / "logs" not in (path, *path.parents)} == before
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_plain_file_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    said = unpack(tmp_path, packed(member(LOG, KINDS[kind], str(tmp_path / "outside")), member(f"{LOG}/x")))
    assert "which is none" in said


@pytest.mark.parametrize("name", NAMES)
def test_another_name_than_a_logs_is_refused(name: str, tmp_path: Path) -> None:
    said = unpack(tmp_path, packed(member(name)))
    assert "which is none" in said
    assert said.isprintable()


def test_a_link_and_then_a_file_of_its_name_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "outside"
    target.write_text("mine")
    assert unpack(tmp_path, packed(member(LOG, tarfile.SYMTYPE, str(target)), member(LOG)))
    shutil.rmtree(tmp_path / "logs")
    assert unpack(tmp_path, packed(member(LOG), member(LOG)))
    assert target.read_text() == "mine"


def test_a_setuid_file_is_a_plain_one(tmp_path: Path) -> None:
    assert unpack(tmp_path, packed(member(LOG, mode=0o6777))) == ""
    assert (tmp_path / "logs/1" / LOG).read_bytes() == b"log"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gigabyte_fills_no_memory(kind: bytes, tmp_path: Path) -> None:
    header = member(LOG, kind)
    header.size = 1 << 30
    words = ("sh", "-c", 'cat "$0"; head -c 1073741824 /dev/zero', str(tmp_path / "header"))
    (tmp_path / "header").write_bytes(header.tobuf(tarfile.USTAR_FORMAT))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
        done = subprocess.run(
            [*PROGRAM.words, "extract", str(tmp_path / "logs")], env={**os.environ, **{name: str(text) for name, text in PROGRAM.environment.items()}},
            stdin=source.stdout, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"a header larger than any log's" in done.stdout
    assert not list((tmp_path / "logs").iterdir())


@given(
    st.lists(
        st.tuples(st.sampled_from([*NAMES, LOG]), st.sampled_from([*KINDS.values(), tarfile.REGTYPE]), st.integers(0, 0o7777)),
        min_size=1,
        max_size=4,
    ),
    st.binary(max_size=600),
    st.integers(0, 4096),
)  # fmt: skip
def test_no_archive_writes_beside_its_folder(shapes: list[tuple[str, bytes, int]], noise: bytes, place: int) -> None:
    archive = packed(*(member(name, kind, "/etc/passwd", mode) for name, kind, mode in shapes))
    for each in (archive, archive[:place] + noise + archive[place + len(noise) :]):
        with tempfile.TemporaryDirectory() as folder:
            unpack(Path(folder), each)
