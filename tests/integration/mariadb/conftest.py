"""Real servers of the lab, each in a folder of its own, and the tools to see what they hold."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import database, mariadb, process, scripts
from tasks.inventory.models import MariaDB
from tasks.mariadb.access import Access
from tasks.remote.host import LocalHost
from tasks.remote.secret import Secret

PASSWORD = """p"a ss'w\\ö#;=$(id)`%s"""


@dataclass(frozen=True)
class Running:
    """A server that runs, with its start and stop scripts in `home`."""

    server: mariadb.Server
    home: Path

    def access(self, **changes: object) -> Access:
        """Return the way in of the account that may back up."""
        values: dict[str, object] = {
            "socket": str(self.server.socket),
            "user": "backup",
            "start": [
                "env",
                *(f"{name}={value}" for name, value in self.environment.items()),
                str(self.home / "start-mariadb"),
            ],
            "stop": [str(self.home / "stop-mariadb")],
        }
        values |= changes
        return Access(MariaDB.model_validate(values), Secret(PASSWORD))

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this server carries, so that the end of a test finds also one that it left behind."""
        return {process.MARKER: str(self.server.folder)}

    def start(self) -> None:
        mariadb.start(self.server, self.home, self.environment)

    def stop(self) -> None:
        mariadb.stop(self.server, self.home)

    def remove(self) -> None:
        """End the server, whatever became of it, and remove its folder."""
        try:
            self.stop()
        finally:
            process.end_all(lambda: process.members(self.server.folder))
            shutil.rmtree(self.server.folder)

    def fingerprint(self) -> dict[str, str]:
        return database.fingerprint(self.server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make(folder: Path, like: Path | None = None, megabytes: int = 12, **more: object) -> Running:
    """Start a server with some data and further options, or one with a binary log and the data of a stopped one."""
    folder.chmod(0o755)
    server = mariadb.Server(
        "shop", folder, free_port(), binlog=like is not None, backup_password=PASSWORD, more=tuple(more.items())
    )
    home = folder / "home"
    home.mkdir()
    running = Running(server, home)
    mariadb.prepare(server, running.environment, like)
    scripts.write(server, home)
    running.start()
    if like is None:
        database.fill(server, megabytes)
    return running


@pytest.fixture(scope="session")
def filled() -> Iterator[Path]:
    """The data directory of a server that was stopped, for others to begin with."""
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    running = make(folder)
    running.stop()
    yield running.server.datadir
    running.remove()


@pytest.fixture(scope="module")
def shop(filled: Path) -> Iterator[Running]:
    """A server that the tests of one file share; they do not change it."""
    yield from _fresh(filled)


@pytest.fixture
def own_shop(filled: Path) -> Iterator[Running]:
    """A server that a test may change."""
    yield from _fresh(filled)


def _fresh(filled: Path) -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    running = make(folder, filled)
    try:
        yield running
    finally:
        running.remove()


@pytest.fixture
def host() -> LocalHost:
    return LocalHost()


@pytest.fixture
def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts")
