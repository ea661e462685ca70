"""rsync to and from a box: the real program on both sides, kept to the home, the quota and what may be written."""

import hashlib
import os
from pathlib import Path

import pytest

from lab.lab import LabBox

from .support import Client, succeeded


def content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def synced(operator: Client, data: Path) -> Client:
    """Someone whose data lies on the box."""
    succeeded(operator.rsync("-a", f"{data}/", "BOX:synced"))
    return operator


def test_a_folder_goes_there_changes_and_comes_back(synced: Client, box: LabBox, data: Path, tmp_path: Path) -> None:
    assert content(box.home() / "synced") == content(data)
    with (data / "file 0").open("r+b") as file:
        file.write(b"changed")
    os.utime(data / "file 0", (0, 0))  # rsync goes by size and seconds
    (data / "file 1").unlink()
    told = succeeded(synced.rsync("-a", "--delete", "--stats", f"{data}/", "BOX:synced/")).stdout.decode()
    literal = next(line for line in told.splitlines() if line.startswith("Literal data:"))
    assert int(literal.split()[2].replace(",", "")) < 100_000  # the rest was not sent again
    succeeded(synced.rsync("-az", "BOX:/home/synced/", str(tmp_path / "back")))
    assert content(tmp_path / "back") == content(box.home() / "synced") == content(data)


def test_nothing_outside_can_be_reached(synced: Client, box: LabBox, data: Path, tmp_path: Path) -> None:
    outside = box.paths.folder / "outside"
    outside.write_text("not yours")
    (box.home() / "door").symlink_to(box.paths.folder)
    before = sorted(path.name for path in box.paths.folder.iterdir())
    for words in (
        ("-a", "BOX:../outside", str(tmp_path / "stolen")),
        ("-a", "BOX:/etc/passwd", str(tmp_path / "stolen")),
        ("-a", "BOX:door/outside", str(tmp_path / "stolen")),
        ("-aL", "BOX:door", str(tmp_path / "stolen")),
        ("-as", "BOX:../outside", str(tmp_path / "stolen")),
        ("-a", f"{data}/", "BOX:../planted"),
        ("-a", f"{data}/", "BOX:door/planted"),
        ("-aK", f"{data}/", "BOX:door"),
        ("-a", "--temp-dir=/tmp", f"{data}/", "BOX:synced"),
    ):
        assert synced.rsync(*words).returncode != 0, words
    assert not (tmp_path / "stolen").exists()
    assert (outside.read_text(), sorted(path.name for path in box.paths.folder.iterdir())) == ("not yours", before)


def test_what_does_not_fit_is_refused_and_leaves_no_piece(operator: Client, box: LabBox, data: Path) -> None:
    box.faults.quota(1_500_000)
    done = operator.rsync("-a", f"{data}/", "BOX:synced")

    assert (done.returncode != 0, b"Disc quota exceeded" in done.stderr) == (True, True), done
    for path in box.home().rglob("*"):
        assert not path.name.startswith(".file"), path
    box.faults.full()
    assert b"Disc quota exceeded" in operator.rsync(str(data / "file 0"), "BOX:new").stderr
    assert not (box.home() / "new").exists()


def test_a_readonly_account_may_fetch_and_not_send(operator: Client, box: LabBox, data: Path, tmp_path: Path) -> None:
    owner = Client(box, operator.folder, "u100001-sub1").with_new_key("owner")
    succeeded(owner.rsync("-a", f"{data}/", "BOX:synced"))
    reader = Client(box, operator.folder, "u100001-sub2", owner.key)
    before = content(box.home("u100001-sub1"))

    assert b"Read-only file system" in reader.rsync("-a", "--delete", f"{tmp_path}/", "BOX:synced").stderr
    assert content(box.home("u100001-sub1")) == before
    succeeded(reader.rsync("-a", "BOX:synced/", str(tmp_path / "back")))
    assert content(tmp_path / "back") == content(data)
