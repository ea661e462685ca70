"""A replica's place in its master's binary log comes with its backup, and its SQL thread goes on afterwards."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lab import mariadb
from tasks.mariadb import dump, server
from tasks.remote.host import LocalHost
from tasks.remote.script import Script
from tests.integration.mariadb.conftest import Running, make


@pytest.fixture
def pair(filled: Path) -> Iterator[tuple[Running, Running]]:
    """A master and its replica."""
    folders = [Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")) for _ in range(2)]
    master, replica = (make(folder, filled) for folder in folders)
    mariadb.query(
        master.server, "CREATE USER repl@127.0.0.1 IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO repl@127.0.0.1"
    )
    mariadb.query(
        replica.server,
        f"CHANGE MASTER TO master_host='127.0.0.1', master_port={master.server.port}, master_user='repl',"
        " master_password='r', master_use_gtid=slave_pos; START SLAVE",
    )
    yield master, replica
    for running, folder in zip((replica, master), folders[::-1], strict=True):
        mariadb.stop(running.server, running.home)
        shutil.rmtree(folder)


def test_the_masters_position_is_saved(pair: tuple[Running, Running], host: LocalHost) -> None:
    master, replica = pair
    mariadb.query(master.server, "CREATE TABLE shop.news (a INT); INSERT INTO shop.news VALUES (1)")
    expected = mariadb.query(master.server, "SELECT @@gtid_binlog_pos")[0][0]
    deadline = time.monotonic() + 60
    while mariadb.query(replica.server, "SELECT @@gtid_slave_pos") != [[expected]]:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert server.ask(host, master.access()).replica is None  # it may not ask, and is none
    assert server.ask(host, replica.access()).replica is None
    mariadb.query(replica.server, "GRANT SLAVE MONITOR, REPLICATION SLAVE ADMIN ON *.* TO backup@localhost")
    access = replica.access(safe_slave_backup=True, parallel=2, throttle=1000)
    asked = server.ask(host, access)
    assert asked.replica is True
    content = dump.dump(access, asked.tools, dump.DumpOptions(16384, checkpoint=False, replica=True))
    made = host.run(Script(f"({content.body}) >/dev/null", content.environment))
    assert made.ok, made.error_text
    position = dump.positions(made.error_text.splitlines())["slave_info"]
    assert expected in position
    assert "gtid_slave_pos" in position
    threads = mariadb.query(replica.server, "SHOW ALL SLAVES STATUS")[0]
    assert threads.count("Yes") >= 2
