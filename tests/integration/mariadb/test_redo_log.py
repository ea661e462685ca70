"""A server that writes over its redo log before mariadb-backup has read it: there is no backup, and why is said."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import dump, errors, server
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, quote
from tests.integration.mariadb.conftest import Running, make

LOG = "4M"  # the smallest
CHURN = """
USE shop; CREATE TABLE shop.churn (i INT PRIMARY KEY, t TEXT);
INSERT INTO shop.churn SELECT seq, REPEAT('x', 500) FROM seq_1_to_40000; UPDATE shop.churn SET t = REPEAT('y', 500)
"""
# Nobody reads the stream until the server has written ten times the size of its log.
SLOW = """\
#!/bin/bash
set -o pipefail
case "$*" in *--backup*) ;; *) exec /usr/bin/mariadb-backup "$@" ;; esac
/usr/bin/mariadb-backup "$@" | { head --bytes 1; @write@ >&2; cat; }
"""


@pytest.fixture
def small() -> Iterator[Running]:
    """A server with the smallest redo log."""
    running = make(Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")), None, 1, innodb_log_file_size=LOG)
    yield running
    running.remove()


def test_a_redo_log_that_was_overwritten_is_named_with_its_remedy(
    small: Running, host: LocalHost, tmp_path: Path
) -> None:
    tools = small.home / "tools"
    tools.mkdir()
    client = ("/usr/bin/mariadb", f"--defaults-file={small.server.root_options}", "--execute", CHURN)
    (tools / "mariadb-backup").write_text(SLOW.replace("@write@", quote(client)))
    (tools / "mariadb-backup").chmod(0o755)
    access = small.access(exec=["env", f"PATH={tools}:/usr/sbin:/usr/bin:/sbin:/bin"])
    asked = server.ask(host, access)
    content = dump.dump(access, asked.tools, dump.DumpOptions(16384, datadir=asked.datadir))

    made = host.run(Script(f"set -o pipefail; ({content.body}) > {tmp_path}/stream", content.environment))

    assert not made.ok
    assert mariadb.query(small.server, "SELECT COUNT(*) FROM shop.churn") == [["40000"]]
    error = errors.error(made.error_text, "shop")
    assert "the server wrote over its redo log before mariadb-backup had copied it" in error.what, made.error_text
    assert error.remedy.startswith("raise innodb_log_file_size on the server")
    assert "Was only able to copy log from" in error.remedy
