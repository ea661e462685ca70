"""What the tests of published copies share: servers of both kinds, and an app's repository for each borg."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.published.site import Servers, Site

BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture(params=BORGS)
def site(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/borg").symlink_to(request.param)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SHOP", "secret words")
    site = Site(tmp_path / "site", servers, request.param)
    yield site
    site.session.__exit__(None, None, None)
