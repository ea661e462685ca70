"""mariadb-backup begins when borg can save: until then it would hold locks on the server for nobody."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import programs
from tasks.mariadb import dump, server
from tasks.mariadb.access import Access
from tasks.remote.host import LocalHost
from tasks.remote.script import Script
from tests.integration.mariadb.archives import Repository
from tests.integration.mariadb.conftest import Running

# Notes that a backup began, then is the real one.
BEGAN = '#!/bin/sh\ncase " $* " in *" --backup "*) touch {began} ;; esac\nexec {program} "$@"\n'


@pytest.fixture
def began(tmp_path: Path) -> Path:
    return tmp_path / "began"


@pytest.fixture
def noted(shop: Running, began: Path) -> Access:
    """The way to a server whose mariadb-backup leaves the file `began`."""
    folder = began.parent / "programs"
    folder.mkdir()
    stand_in = folder / "mariadb-backup"
    stand_in.write_text(BEGAN.format(began=began, program=programs.find("mariadb-backup")))
    stand_in.chmod(0o755)
    return shop.access(exec=["env", f"PATH={folder}:{os.environ['PATH']}"])


@contextmanager
def locked(repository: Repository) -> Iterator[None]:
    """Let another borg hold the repository's lock."""
    words = ("borg", "with-lock", repository.environment["BORG_REPO"], "sh", "-c", "echo held; read -r _")
    environment = {**os.environ, **repository.environment, "BORG_BASE_DIR": str(repository.folder / "other")}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n")


def script(host: LocalHost, access: Access, repository: Repository) -> Script:
    content = dump.dump(access, server.ask(host, access).tools, dump.DumpOptions(chunk_size=16384))
    return repository.create("shop", content)


def test_while_another_borg_holds_the_lock_no_backup_of_the_server_begins(
    noted: Access, host: LocalHost, tmp_path: Path, began: Path
) -> None:
    repository = Repository.make(tmp_path)
    todo = script(host, noted, repository)
    with locked(repository):
        made = host.run(todo)
    assert not made.ok
    assert "Failed to create/acquire the lock" in made.error_text
    assert not began.exists()
    assert host.run(todo).ok
    assert began.exists()
    assert repository.archives() == ["shop"]


def test_for_a_repository_that_cannot_be_reached_none_begins(
    noted: Access, host: LocalHost, tmp_path: Path, began: Path
) -> None:
    for place in (str(tmp_path / "nowhere"), "ssh://nobody@127.0.0.1:1/./shop"):
        environment = {"BORG_REPO": place, "BORG_BASE_DIR": str(tmp_path)}
        made = host.run(script(host, noted, Repository(tmp_path, environment=environment)))
        assert not made.ok
        assert not began.exists(), place
