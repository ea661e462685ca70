"""A user that is a number alone, as containers have it: it saves, and a file that an access list keeps from it is named."""

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.init import init
from tests.integration.borg.conftest import BORGS, MakeRepository
from tests.integration.mariadb.hostile.walls import HostOf

NUMBER = 4242


def access_list(user: int) -> bytes:
    """Return a POSIX access control list: a user may do nothing, everybody else may read (linux/posix_acl_xattr.h)."""
    rows = [(1, 6, -1), (2, 0, user), (4, 4, -1), (16, 4, -1), (32, 4, -1)]  # owner, user, group, mask, others
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))  # file systems in memory may have no access lists
    (folder / "home").mkdir()
    os.chown(folder / "home", NUMBER, NUMBER)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("borg", BORGS[:1], indirect=True)  # the others may lie where this user cannot go
def test_a_user_without_a_name(
    borg: Path, make_repository: MakeRepository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("open", "closed"):
        (place / name).write_text(name)
        (place / name).chmod(0o644)
    os.setxattr(place / "closed", "system.posix_acl_access", access_list(NUMBER))
    named = make_repository(url=str(place / "home/storage"), BORG_BASE_DIR=str(place / "home/base"))
    repository = replace(named, host=HostOf(place / "home", user=NUMBER))
    init(repository, place / "escrow")

    made = create(repository, FilesOptions("one", [str(place / "open"), str(place / "closed")]))

    assert made.files == 1
    assert made.verdict.first == (f"{place}/closed: Permission denied",)
