"""A backup whose operator has gone leaves nothing on the live server, though mariadb-backup blocks SIGTERM."""

import subprocess
import threading
from collections.abc import Iterator

import pytest

from lab import mariadb, programs
from tasks.errors import InterruptedRunError
from tasks.mariadb import dump, server
from tasks.remote.host import LocalHost
from tasks.remote.script import Script
from tests.integration.mariadb.conftest import Running
from tests.integration.remote.support import eventually

PROCESSES = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'backup'"


@pytest.fixture
def locked(shop: Running) -> Iterator[subprocess.Popen[str]]:
    """Hold LOCK TABLES in a session, for which a backup has to wait."""
    words = (programs.find("mariadb"), f"--defaults-file={shop.server.root_options}", "--batch", "--unbuffered")
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("LOCK TABLES shop.orders WRITE; SELECT 'locked';\n")
    client.stdin.flush()
    while "locked" not in client.stdout.readline():
        assert client.poll() is None
    yield client
    client.stdin.close()
    client.wait()


@pytest.mark.parametrize("end", ["interrupted", "killed"])
def test_nothing_waits_for_a_lock_when_the_operator_has_gone(
    shop: Running, host: LocalHost, locked: subprocess.Popen[str], end: str
) -> None:
    content = dump.dump(shop.access(), server.ask(host, shop.access()).tools, dump.DumpOptions(chunk_size=16384))
    waits = threading.Event()
    script = Script(f"{{ {content.body}; }} >/dev/null", content.environment, grace=1)
    running = host.start(script, on_stderr=lambda line: waits.set() if "Acquiring BACKUP LOCKS" in line else None)
    assert waits.wait(60)
    assert mariadb.query(shop.server, PROCESSES) != [["0"]]
    if end == "interrupted":
        host.cancelled.set()
        with pytest.raises(InterruptedRunError, match=r"interrupted$"):
            running.wait(None, script.grace, host.cancelled)
    else:
        running.end()  # all that the host sees of an operator who was killed
    assert eventually(lambda: mariadb.query(shop.server, PROCESSES) == [["0"]])
    assert locked.poll() is None  # the lock was there all the time
