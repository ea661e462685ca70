"""What all tests of hostile databases need: root, a folder for everybody's drills, a backup."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.test_drill import saved


@pytest.fixture(autouse=True)
def as_root(needs_root: None) -> None:
    """Other people's hosts are played by root."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for everybody's drills; nothing may be left in it but what a test put there."""
    path = Path(tempfile.mkdtemp(prefix="cb-walls-", dir="/tmp"))
    path.chmod(0o1777)
    yield path
    assert not list(path.glob("cloudbackup-drill-*"))
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def backup(shop: Running) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        file = saved(shop, Path(name) / "backup")
        file.chmod(0o644)
        yield file
