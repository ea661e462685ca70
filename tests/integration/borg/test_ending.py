"""A create that is told to end, or killed: no archive, and no lock that the next run cannot clear by itself."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.borg.client.break_lock import Holder, break_lock, holders, refuse_alive
from tasks.borg.client.create import StreamOptions, create
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError, How
from tasks.errors import CloudbackupError, InterruptedRunError, RefusedError
from tasks.remote.files import LocalFiles
from tasks.remote.host import LocalHost
from tasks.remote.script import Stream
from tasks.storage.repository import Repository
from tests.integration.borg.conftest import MakeRepository
from tests.integration.remote.support import eventually


class Running:
    """A create in a thread, whose content waits until somebody ends it."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.ready = folder / "ready"
        self.error: BaseException | None = None
        body = f"head -c 2000000 /dev/urandom; echo $BASHPID $PPID > {self.ready}.new; mv {self.ready}.new {self.ready}; sleep 300"
        self.options = StreamOptions("shop-mariadb-2026-11-22T03-00-00", Stream(body), "dump")
        self.repository = repository
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert eventually(self.ready.exists, 30)
        self.borg = int(self.ready.read_text().split()[1])

    def run(self) -> None:
        try:
            create(self.repository, self.options)
        except (CloudbackupError, InterruptedRunError) as error:
            self.error = error

    def ended(self) -> BaseException | None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.error


@pytest.fixture(params=["local", "ssh"])
def place(
    request: pytest.FixtureRequest, repository: Repository, make_repository: MakeRepository, tmp_path: Path
) -> Repository:
    """The same repository, as a folder and behind a `borg serve`."""
    if request.param == "local":
        return repository
    rsh = tmp_path / "serve"
    rsh.write_text(f"#!/bin/sh\nexec borg serve --append-only --restrict-to-repository '{repository.url}'\n")
    rsh.chmod(0o755)
    return make_repository(
        url=f"ssh://u@box:23{repository.url}", BORG_RSH=str(rsh), BORG_BASE_DIR=str(tmp_path / "base of ssh")
    )


def locks(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("lock.*"))


def test_told_to_end_it_leaves_nothing(
    place: Repository, repository: Repository, host: LocalHost, tmp_path: Path
) -> None:
    running = Running(place, tmp_path)
    assert locks(Path(repository.url))
    host.cancelled.set()
    assert isinstance(running.ended(), InterruptedRunError)
    host.cancelled.clear()
    assert eventually(lambda: not locks(tmp_path), 20), locks(tmp_path)
    assert archives(repository).archives == ()
    assert not subprocess.run(("pgrep", "-f", str(tmp_path)), capture_output=True, check=False).stdout


def test_killed_it_leaves_locks_that_the_next_run_clears(
    place: Repository, repository: Repository, tmp_path: Path
) -> None:
    running = Running(place, tmp_path)
    os.kill(running.borg, signal.SIGKILL)
    assert isinstance(running.ended(), BorgError)
    made = create(place, StreamOptions(running.options.archive, Stream("echo whole"), "dump"), How(lock_wait=20))
    assert [archive.id for archive in archives(place).archives] == [made.id]
    assert eventually(lambda: not locks(Path(repository.url)), 10)


@pytest.fixture
def locked(repository: Repository, tmp_path: Path) -> Iterator[Running]:
    running = Running(repository, tmp_path)
    yield running
    os.kill(running.borg, signal.SIGTERM)
    running.ended()


def test_a_live_lock_is_named_and_not_broken(locked: Running, repository: Repository) -> None:
    found = holders(LocalFiles(), repository.url)
    assert found == (Holder("test-host", locked.borg),)
    with pytest.raises(RefusedError, match=f"process {locked.borg} on test-host holds the lock and is alive"):
        refuse_alive(repository, found)
    with pytest.raises(BorgError, match="the repository is locked"):
        archives(repository, how=How(lock_wait=0))


def test_a_dead_lock_is_broken(repository: Repository) -> None:
    lock = Path(repository.url, "lock.exclusive")
    lock.mkdir()
    (lock / "other-host@123.4567-0").touch()
    found = holders(LocalFiles(), repository.url)
    assert found == (Holder("other-host@123", 4567),)
    with pytest.raises(BorgError, match="the repository is locked"):
        archives(repository, how=How(lock_wait=0))
    refuse_alive(repository, found)
    break_lock(repository)
    assert holders(LocalFiles(), repository.url) == ()
    assert archives(repository).archives == ()
