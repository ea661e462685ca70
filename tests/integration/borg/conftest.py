"""Every test here runs once for each borg: the one on PATH, and those in CLOUDBACKUP_BORGS (paths with colons)."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.borg.client.init import init
from tasks.remote.host import LocalHost
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository, Side

BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]

PASSPHRASE = "it's $(secret)"
MakeRepository = Callable[..., Repository]


@pytest.fixture(params=BORGS)
def borg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put one borg first on PATH, and give it a home of its own; returns its path."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "borg").symlink_to(request.param)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return Path(request.param)


@pytest.fixture
def host() -> Iterator[LocalHost]:
    host = LocalHost()
    yield host
    host.close()


@pytest.fixture
def make_repository(borg: Path, host: LocalHost, tmp_path: Path) -> MakeRepository:
    """Return a function that names a repository in a folder, without making it."""

    def make(app: str = "shop", url: str | None = None, passphrase: str = PASSPHRASE, **extra: str) -> Repository:
        url = url or str(tmp_path / "storage" / app)
        environment: dict[str, str | Secret] = {
            "BORG_REPO": url,
            "BORG_PASSPHRASE": Secret(passphrase),
            "BORG_BASE_DIR": str(tmp_path / "base"),
            "BORG_HOST_ID": "test-host",
            **extra,
        }
        return Repository(app, "disk", url, host, environment, Side.OPERATOR)

    return make


@pytest.fixture
def repository(make_repository: MakeRepository, tmp_path: Path) -> Repository:
    """Return a new, empty repository."""
    repository = make_repository()
    init(repository, tmp_path / "escrow")
    return repository
