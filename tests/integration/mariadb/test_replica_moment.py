"""A replica brought to a moment: the position that is printed is that of its data, and it goes on from there."""

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from lab import mariadb
from tests.integration.fleet.support import Operator, eventually
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded
from tests.integration.mariadb.test_replica import MASTER


def written(master: Running, replica: Running, value: int) -> str:
    """Write on the master, and return its position once the replica is there."""
    mariadb.query(master.server, f"INSERT INTO shop.news VALUES ({value})")
    expected = mariadb.query(master.server, "SELECT @@gtid_binlog_pos")[0][0]
    assert eventually(lambda: mariadb.query(replica.server, "SELECT @@gtid_slave_pos") == [[expected]])
    return expected


def saved(operator: Operator) -> str:
    """Save the binary logs and return a moment after all that was written before and nothing after."""
    second = int(time.time()) + 1
    assert eventually(lambda: time.time() >= second)
    operator.done("mariadb.binlog", "--app", "replica")
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_replica_of_a_moment_goes_on_with_what_its_master_did_next(filled: Path, tmp_path: Path) -> None:
    folders = [Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")) for _ in range(3)]
    master, replica = make(folders[0], filled), make(folders[1], filled, log_slave_updates="ON")
    target = folders[2] / "new"
    folders[2].chmod(0o755)
    try:
        mariadb.query(
            master.server, "CREATE USER repl@127.0.0.1 IDENTIFIED BY 'r';"
            "GRANT REPLICATION SLAVE ON *.* TO repl@127.0.0.1; CREATE TABLE shop.news (a INT)",
        )  # fmt: skip
        start = f"{MASTER.format(master.server.port)}, master_use_gtid=slave_pos; START SLAVE;"
        mariadb.query(replica.server, f"{start} GRANT SLAVE MONITOR ON *.* TO backup@localhost")
        written(master, replica, 1)
        operator = onboarded(replica, tmp_path, binlog=True)
        operator.done("mariadb.backup", "--app", "replica")
        expected = written(master, replica, 2)
        at = saved(operator)
        written(master, replica, 3)
        saved(operator)
        said = operator.done("restore", "--app", "replica", "--at", at, "--target", str(target))
        told = f"the server was a replica, at that moment at: SET GLOBAL gtid_slave_pos = '{expected}'"
        assert told in said
        statements = said.partition("at that moment at: ")[2].splitlines()[0]
        rows = "SELECT a FROM shop.news ORDER BY a"
        with mariadb.serving(target) as copy:
            assert mariadb.query(copy, rows) == [["1"], ["2"]]
            assert mariadb.query(copy, "SELECT @@gtid_slave_pos") == [[expected]]
            mariadb.query(copy, f"{MASTER.format(master.server.port)}; {statements}; START SLAVE")
            assert eventually(lambda: mariadb.query(copy, rows) == [["1"], ["2"], ["3"]])
    finally:
        for running in (replica, master):
            running.remove()
        shutil.rmtree(folders[2])
