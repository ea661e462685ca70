"""Owners and attributes that cannot be set where files are restored: the files come, and it is said."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.restore import Trust, restore_in_place, restore_to
from tasks.storage.repository import Repository

NOW = datetime(2026, 11, 28, 4, 5, 6, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Files as a host has them: an owner of their own, and an attribute that root alone may set."""
    top = tmp_path / "srv" / "shop"
    top.mkdir(parents=True)
    for name in ("one", "two"):
        (top / name).write_text(name)
        os.chown(top / name, 1234, 4321)
    os.setxattr(top / "one", "trusted.note", b"kept")
    return top


def without(tmp_path: Path, borg: Path, *rights: str) -> None:
    """Take rights from borg, as they are taken from root in a container."""
    fewer = ",".join(f"-{right}" for right in rights)
    (tmp_path / "bin/borg").unlink()
    (tmp_path / "bin/borg").write_text(
        f'#!/bin/sh\nexec setpriv --bounding-set={fewer} --inh-caps={fewer} {borg} "$@"\n'
    )
    (tmp_path / "bin/borg").chmod(0o755)


def test_what_cannot_be_set_is_said_and_the_files_come(
    repository: Repository, borg: Path, shop: Path, tmp_path: Path
) -> None:
    create(repository, FilesOptions("one", (str(shop),)))
    without(tmp_path, borg, "sys_admin", "chown")
    restore_to(repository, "one", str(tmp_path / "target"), trust=Trust(known=True))
    done = restore_in_place(repository, "one", (str(shop),), NOW)
    attributes, owners = done.remarks
    assert attributes.startswith(
        "not all attributes could be set: 1 entry: when setting extended attribute trusted.note"
    )
    place = str(shop)[1:]
    assert owners == f"not all owners could be set: 2 entries: {place}/one (1234:4321); {place}/two (1234:4321)"
    for folder in (shop, tmp_path / "target" / place):
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"one": "one", "two": "two"}
        assert (folder / "one").stat().st_uid == 0
