"""info, diff, check, prune, compact, delete, mount, and what a broken way to the storage is told as."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.compact import compact
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.delete import delete
from tasks.borg.client.diff import diff
from tasks.borg.client.info import archive_info, repository_info
from tasks.borg.client.list import archives
from tasks.borg.client.mount import mount, umount
from tasks.borg.client.runner import BorgError
from tasks.storage.repository import Repository
from tests.integration.borg.conftest import MakeRepository


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    top = tmp_path / "shop"
    top.mkdir()
    (top / "same").write_text("same")
    (top / "changes").write_text("one")
    (top / "goes").write_text("goes")
    return top


def test_info_tells_sizes(repository: Repository, shop: Path) -> None:
    (shop / "big").write_bytes(os.urandom(500_000))
    made = create(repository, FilesOptions("one", (str(shop),), comment="{kept} as it is"))
    one, whole = archive_info(repository, "one"), repository_info(repository)
    assert (one.id, one.comment, one.files) == (made.id, "{kept} as it is", 4)
    assert 500_000 < one.size < 510_000
    assert 500_000 < one.unique < 510_000
    assert (whole.encryption, whole.location) == ("repokey-blake2", repository.url)
    assert 500_000 < whole.stored < 510_000
    assert abs(whole.changed - datetime.now(UTC)) < timedelta(minutes=1)


def test_diff_tells_what_changed(repository: Repository, shop: Path) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    (shop / "changes").write_text("three")
    (shop / "goes").unlink()
    (shop / "line\nbreak").write_text("came")
    create(repository, FilesOptions("two", (str(shop),)))
    found = {Path(change.path).name: change.changes for change in diff(repository, "one", "two")}
    assert found["changes"][0] == "modified (+5 B, -3 B)"
    assert found["goes"] == ("removed (4 B)",)
    assert found["line\nbreak"] == ("added (4 B)",)
    assert "same" not in found
    only = tuple(diff(repository, "one", "two", (str(shop / "goes"),)))
    assert [Path(change.path).name for change in only] == ["goes"]


def test_check_finds_damage_and_repairs_nothing(repository: Repository, shop: Path) -> None:
    (shop / "big").write_bytes(os.urandom(300_000))
    create(repository, FilesOptions("one", (str(shop),)))
    assert check(repository, CheckOptions(verify_data=True)).problems == ()
    assert check(repository, CheckOptions(max_duration=60)).problems == ()
    biggest = max(Path(repository.url, "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    damaged = bytearray(biggest.read_bytes())
    damaged[100_000] ^= 0xFF
    biggest.write_bytes(damaged)
    assert check(repository, CheckOptions()).problems
    assert biggest.read_bytes() == damaged


def test_delete_and_compact_free_space(repository: Repository, shop: Path) -> None:
    (shop / "big").write_bytes(os.urandom(2_000_000))
    create(repository, FilesOptions("one", (str(shop),)))
    (shop / "big").unlink()
    create(repository, FilesOptions("two", (str(shop),)))
    delete(repository, ("one",))
    assert [archive.name for archive in archives(repository).archives] == ["two"]
    freed = compact(repository).freed
    assert freed is not None
    assert freed.startswith("2.0")
    assert sum(path.stat().st_size for path in Path(repository.url).rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE")
def test_mount_shows_archives_as_folders(repository: Repository, shop: Path, tmp_path: Path) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    place = tmp_path / "mounted"
    place.mkdir()
    mount(repository, str(place))
    try:
        assert (place / "one" / str(shop)[1:] / "same").read_text() == "same"
    finally:
        umount(repository, str(place))
    assert list(place.iterdir()) == []


def script(folder: Path, text: str, program: str = "/bin/sh") -> str:
    path = folder / "rsh"
    path.write_text(f"#!{program}\n{text}\n")
    path.chmod(0o755)
    return str(path)


# Answers borg once; what borg writes then finds nobody who reads it.
CLOSES = """
import os, select, subprocess, sys
if sys.argv[-1] == "--version":
    sys.exit()
serve = subprocess.Popen(sys.argv[sys.argv.index("borg"):], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
os.write(serve.stdin.fileno(), os.read(0, 65536))
os.close(0)
os.write(1, os.read(serve.stdout.fileno(), 65536))
serve.kill()
borg_ended = select.poll()
borg_ended.register(1, 0)
borg_ended.poll(10000)
"""


def test_a_connection_lost_while_borg_writes_may_be_tried_again(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository(url="ssh://u@box:23/./shop", BORG_RSH=script(tmp_path, CLOSES, sys.executable))
    with pytest.raises(BorgError, match="the connection to the storage was lost") as told:
        archives(repository)
    assert told.value.transient


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo 'u@box: Permission denied (publickey).' >&2; exit 255", "refuses the key"),
        ("echo 'Host key verification failed.' >&2; exit 255", "host key is not the pinned one"),
        ("echo 'ssh: Could not resolve hostname box: Name or service not known' >&2; exit 255", "cannot be resolved"),
        ("echo 'bash: borg-1.4: command not found' >&2; exit 127", "borg is not installed on the storage"),
        ("exit 255", "the connection to the storage was lost"),
    ],
)
def test_the_cause_is_told_even_when_borg_does_not(
    make_repository: MakeRepository, tmp_path: Path, text: str, told: str
) -> None:
    repository = make_repository(url="ssh://u@box:23/./shop", BORG_RSH=script(tmp_path, text))
    with pytest.raises(BorgError, match=told):
        archives(repository)


def test_a_missing_borg_is_told(make_repository: MakeRepository, borg: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / borg.name).unlink()
    repository = make_repository(PATH=str(tmp_path / "bin"))
    with pytest.raises(BorgError, match="borg is not installed on the host"):
        archives(repository)


def test_a_storage_that_is_full_is_told(make_repository: MakeRepository, shop: Path, tmp_path: Path) -> None:
    full = script(tmp_path, "echo \"OSError: [Errno 69] Disc quota exceeded: 'x'\" >&2; sleep 0.5; exit 1")
    with pytest.raises(BorgError, match="shop: the storage is full") as caught:
        create(make_repository(url="ssh://u@box:23/./shop", BORG_RSH=full), FilesOptions("one", (str(shop),)))
    assert "make room first" in caught.value.remedy
