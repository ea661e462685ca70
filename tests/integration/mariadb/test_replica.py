"""A replica's place in its master's binary log comes with its backup, and its SQL thread goes on afterwards."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import mariadb
from tasks.mariadb import drill, dump, restore, server, unpack
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream
from tests.integration.fleet.support import eventually
from tests.integration.mariadb.conftest import Running, free_port, make
from tests.integration.mariadb.onboarded import onboarded

GALERA = "/usr/lib/galera/libgalera_smm.so"  # of Debian's package galera-4
CHOSEN = ("--app", "replica")
MASTER = "CHANGE MASTER TO master_host='127.0.0.1', master_port={}, master_user='repl', master_password='r'"


@pytest.fixture(scope="module")
def pair(filled: Path) -> Iterator[tuple[Running, Running]]:
    """A master and its replica."""
    folders = [Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")) for _ in range(2)]
    master, replica = (make(folder, filled) for folder in folders)
    mariadb.query(
        master.server, "CREATE USER repl@127.0.0.1 IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO repl@127.0.0.1"
    )
    mariadb.query(
        replica.server,
        f"{MASTER.format(master.server.port)}, master_use_gtid=slave_pos; START SLAVE",
    )
    mariadb.query(replica.server, "GRANT SLAVE MONITOR, REPLICATION SLAVE ADMIN ON *.* TO backup@localhost")
    yield master, replica
    for running in (replica, master):
        running.remove()


@pytest.fixture
def node(filled: Path) -> Iterator[Running]:
    """The one node of a Galera cluster (wsrep's options: MariaDB's "Configuring MariaDB Galera Cluster")."""
    ports = free_port(), free_port()
    options: dict[str, Any] = {
        "wsrep_on": "ON",
        "wsrep_provider": GALERA,
        "wsrep_cluster_address": "gcomm://",
        "wsrep_node_address": "127.0.0.1",
        "wsrep_provider_options": '"gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_addr=127.0.0.1:{}"'.format(*ports),
        "binlog_format": "ROW",
        "innodb_autoinc_lock_mode": 2,
    }
    running = make(Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")), filled, **options)
    try:
        yield running
    finally:
        running.remove()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for a drill that an ordinary user may pass through."""
    with tempfile.TemporaryDirectory(prefix="cb-drill-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def replicated(master: Running, replica: Running) -> str:
    """Write on the master, and return its GTID position once the replica is there."""
    mariadb.query(master.server, "CREATE OR REPLACE TABLE shop.news (a INT); INSERT INTO shop.news VALUES (1)")
    expected = mariadb.query(master.server, "SELECT @@gtid_binlog_pos")[0][0]
    assert eventually(lambda: mariadb.query(replica.server, "SELECT @@gtid_slave_pos") == [[expected]])
    return expected


def test_the_masters_position_is_saved_and_comes_back(
    pair: tuple[Running, Running], host: LocalHost, tmp_path: Path
) -> None:
    master, replica = pair
    expected = replicated(master, replica)
    assert server.ask(host, master.access()).replica is None  # it may not ask, and is none
    access = replica.access(safe_slave_backup=True, parallel=2, throttle=1000)
    asked = server.ask(host, access)
    assert asked.replica is True
    content = dump.dump(access, asked.tools, dump.DumpOptions(16384, checkpoint=False, replica=True))
    backup, new = tmp_path / "backup", tmp_path / "new"
    made = host.run(Script(f"({content.body}) | tar -xBOf - >{backup}", content.environment))
    assert made.ok, made.error_text
    position = dump.positions(made.error_text.splitlines())["slave_info"]
    assert expected in position
    assert "gtid_slave_pos" in position
    threads = mariadb.query(replica.server, "SHOW ALL SLAVES STATUS")[0]
    assert threads.count("Yes") >= 2

    unpacked = unpack.to_directory(host, Stream(f"cat {backup}"), str(new))
    assert unpacked.replica == " ".join(position.splitlines())


def test_who_restores_or_drills_a_replica_reads_where_it_stood(
    pair: tuple[Running, Running], tmp_path: Path, scratch: Path
) -> None:
    """And what is said is what makes a new replica of the restored data, which goes on from there."""
    master, replica = pair
    operator, chosen = onboarded(replica, tmp_path), CHOSEN
    expected = replicated(master, replica)
    operator.done("mariadb.backup", *chosen)
    mariadb.query(master.server, "INSERT INTO shop.news VALUES (2)")
    told = "the server was a replica, at the end of the backup at: SET GLOBAL gtid_slave_pos = '" + expected + "'"
    assert told in operator.done("mariadb.verify", *chosen, "--scratch", str(scratch))
    records = [json.loads(file.read_text()) for file in (tmp_path / "storage/records/replica").glob("*-mariadb-*")]
    stood = {record["action"]: record["details"]["replication"] for record in records}
    assert sorted(stood) == ["backup", "verify"]
    assert all(expected in text for text in stood.values())

    said = operator.done("mariadb.restore", *chosen, "--target", str(tmp_path / "new"))
    assert told in said
    statements = said.partition("at the end of the backup at: ")[2].splitlines()[0]
    with mariadb.serving(tmp_path / "new") as copy:
        mariadb.query(copy, f"{MASTER.format(master.server.port)}; {statements}; START SLAVE")
        assert eventually(lambda: mariadb.query(copy, "SELECT a FROM shop.news ORDER BY a") == [["1"], ["2"]])


def test_what_the_data_says_of_its_position_counts_and_not_what_was_noted(
    pair: tuple[Running, Running], tmp_path: Path, scratch: Path
) -> None:
    """The notes of a replica that applies in parallel may be some transactions behind."""
    master, replica = pair
    expected = replicated(master, replica)
    content = dump.dump(
        replica.access(), server.ask(LocalHost(), replica.access()).tools,
        dump.DumpOptions(16384, checkpoint=False, replica=True),
    )  # fmt: skip
    host, stream = LocalHost(), tmp_path / "stream"
    made = host.run(Script(f"({content.body}) | tar -xBOf - >{stream}", content.environment))
    assert made.ok, made.error_text
    (tmp_path / "files").mkdir()
    subprocess.run(("mbstream", "-x", "-C", str(tmp_path / "files")), stdin=stream.open("rb"), check=True)
    (noted,) = (tmp_path / "files").glob("*_slave_info")
    noted.write_text(noted.read_text().replace(expected, "0-1-1"))
    assert "'0-1-1'" in noted.read_text()
    files = "find . -mindepth 1 -type f -printf '%P\\n' | xargs mbstream -c"
    wrong = Stream(f"cd {tmp_path}/files && {files}")
    unpacked, _ = restore.to_directory(host, restore.RestoreRequest(wrong), str(scratch / "new"))
    assert f"gtid_slave_pos = '{expected}'" in unpacked.replica
    done = drill.run(host, wrong, drill.DrillOptions(1000, folder=str(scratch)))
    assert f"gtid_slave_pos = '{expected}'" in done.replica


def test_who_restores_or_drills_a_node_of_galera_reads_its_state(node: Running, tmp_path: Path, scratch: Path) -> None:
    operator, chosen = onboarded(node, tmp_path), CHOSEN
    mariadb.query(node.server, "CREATE TABLE shop.news (a INT PRIMARY KEY); INSERT INTO shop.news VALUES (1)")
    status = dict(mariadb.query(node.server, "SHOW STATUS LIKE 'wsrep%'"))
    assert status["wsrep_cluster_status"] == "Primary"
    operator.done("mariadb.backup", *chosen)
    mariadb.query(node.server, "INSERT INTO shop.news VALUES (2)")
    state = f"{status['wsrep_cluster_state_uuid']}:{status['wsrep_last_committed']}"
    assert state in operator.done("mariadb.verify", *chosen, "--scratch", str(scratch))
    assert state in operator.done("mariadb.restore", *chosen, "--target", str(tmp_path / "new"))
    with mariadb.serving(tmp_path / "new") as copy:
        assert mariadb.query(copy, "SELECT a FROM shop.news") == [["1"]]
