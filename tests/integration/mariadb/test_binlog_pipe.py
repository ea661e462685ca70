"""Binary logs on their way into an archive: whoever of the pipe is killed, there is none."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import binlogs
from tasks.remote.host import LocalHost
from tests.integration.fleet.support import eventually
from tests.integration.mariadb.archives import Repository
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.test_dump import interpreter, wait_for

ARCHIVE = "shop-binlog-2026-11-22T03-00-00"
MEMBERS: dict[str, Callable[[str], bool]] = {
    "who reads a file": lambda line: "/cat\0--\0" in line,
    "who collects": lambda line: "-c\0import os, sys, types" in line and interpreter(line),
    "borg": lambda line: "\0create\0--chunker-params" in line,
}


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, list[str]]:
    """An `exec` where the reader of the first file stops before its first byte, so that everybody is in the middle of it."""
    (tmp_path / "bin").mkdir()
    reader = tmp_path / "bin" / "cat"
    first = tmp_path / "first"
    first.touch()
    reader.write_text(f'#!/bin/sh\nrm {first} 2>/dev/null && kill -STOP $$\nexec /bin/cat "$@"\n')
    reader.chmod(0o755)
    return {"exec": ["env", f"PATH={reader.parent}:{os.environ['PATH']}"]}


@pytest.mark.parametrize("member", [*MEMBERS, "nobody"])
def test_whoever_in_the_pipe_is_killed_there_is_no_archive(
    member: str, shop: Running, host: LocalHost, tmp_path: Path, slow: dict[str, list[str]]
) -> None:
    repository = Repository.make(tmp_path)
    ((base,),) = mariadb.query(shop.server, "SELECT @@log_bin_basename")
    script = repository.create_file(ARCHIVE, binlogs.archive(shop.access(**slow), str(Path(base).parent)))
    results: list[bool] = []
    runner = threading.Thread(target=lambda: results.append(host.run(script).ok), daemon=True)
    runner.start()
    mark = f"BORG_REPO={repository.environment['BORG_REPO']}"
    stopped = wait_for(MEMBERS["who reads a file"], mark)
    assert eventually(lambda: Path(f"/proc/{stopped}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        if member in MEMBERS:
            os.kill(wait_for(MEMBERS[member], mark), signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)
    runner.join(60)
    saved = member == "nobody"
    assert results == [saved]
    assert repository.archives() == [ARCHIVE] * saved
