"""Drills ask their queries under the settings of the server that was saved, and know which plugins it had."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import mariadb, programs
from tasks.mariadb import drill, dump, restore, server
from tasks.mariadb.drill import DrillError, DrillOptions
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.conftest import Running, make

UNLIKE = {
    "log_bin": "binlog",
    "lower_case_table_names": 1,
    "sql_mode": "ANSI_QUOTES,PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY",
    "default_time_zone": "+09:00",
    "collation_server": "utf8mb4_bin",
    "group_concat_max_len": 4,
    "div_precision_increment": 9,
}
TABLES = """
CREATE DATABASE Own; CREATE TABLE Own.Orders (at TIMESTAMP, name VARCHAR(9));
INSERT INTO own.orders VALUES ('2026-11-22 00:30:00', 'a');
"""
QUERIES = (
    "SELECT COUNT(*) = 1 FROM OWN.ORDERS",
    """SELECT COUNT(*) = 1 FROM "own"."orders" WHERE DATE(at) = '2026-11-22' AND HOUR(at) = 0""",
    "SELECT 'a' || 'b' = 'ab'",
    "SELECT LENGTH(GROUP_CONCAT(TABLE_NAME)) = 4 FROM information_schema.TABLES",
    "SELECT 1 / 3 = 0.333333333",
    "SELECT @@collation_server = 'utf8mb4_bin'",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="cb-drill-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@dataclass(frozen=True)
class Saved:
    running: Running
    content: Stream
    asked: server.Server


@pytest.fixture(scope="module")
def saved() -> Iterator[Saved]:
    """A backup of a server whose every setting is unlike the default."""
    home = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    running = make(home, None, 1, **UNLIKE)
    try:
        mariadb.query(running.server, TABLES)
        host, access = LocalHost(), running.access()
        asked = server.ask(host, access)
        content = dump.dump(access, asked.tools, dump.DumpOptions(16384, checkpoint=False))
        made = host.run(Script(f"({content.body}) | tar -xBOf - > {home}/stream", content.environment))
        assert made.ok, made.error_text
        yield Saved(running, Stream(quote(("cat", f"{home}/stream"))), asked)
    finally:
        running.remove()


def test_queries_answer_as_on_the_server_that_was_saved(saved: Saved, host: LocalHost, folder: Path) -> None:
    for query in QUERIES:
        assert mariadb.query(saved.running.server, query) == [["1"]], query
    drill.run(host, saved.content, DrillOptions(1000, QUERIES, str(folder), server=saved.asked.details))


def test_without_a_record_they_are_asked_under_the_defaults_as_before(
    saved: Saved, host: LocalHost, folder: Path
) -> None:
    with pytest.raises(DrillError, match=r"OWN\.ORDERS"):
        drill.run(host, saved.content, DrillOptions(1000, QUERIES[:1], str(folder)))


def test_what_stands_in_a_record_runs_nothing(saved: Saved, host: LocalHost, folder: Path) -> None:
    evil = {
        "settings": {"sql_mode": "x --init-file=/etc/passwd", "init_file": "/etc/passwd", "lower_case_table_names": 1},
        "plugins": [["a", "STORAGE ENGINE", "../../evil.so"], ["b", "AUDIT", "server_audit.so"], "c", [1, 2, 3]],
        "zone": "$(touch /tmp/x)",
    }
    done = drill.run(host, saved.content, DrillOptions(1000, folder=str(folder), server=evil))
    assert done.remarks == ()


def test_a_plugin_that_nothing_needs_is_a_remark_by_name(saved: Saved, host: LocalHost, folder: Path) -> None:
    record = {**saved.asked.details, "plugins": [["ed25519", "AUTHENTICATION", "auth_nowhere.so"]]}
    done = drill.run(host, saved.content, DrillOptions(1000, folder=str(folder), server=record))
    assert any("ed25519 (auth_nowhere.so)" in remark for remark in done.remarks)


def test_what_lacks_a_plugin_is_no_damage(saved: Saved, host: LocalHost, folder: Path) -> None:
    record = {**saved.asked.details, "plugins": [["twice", "FUNCTION", "twice.so"]]}
    with pytest.raises(DrillError, match=r"not installed there: twice \(twice\.so\); so .*FUNCTION") as caught:
        drill.run(host, saved.content, DrillOptions(1000, ("SELECT own.twice(1)",), str(folder), server=record))
    assert "install them there" in caught.value.remedy


def test_a_transaction_that_was_prepared_at_the_end_of_the_copy_is_rolled_back_and_said(
    saved: Saved, host: LocalHost, folder: Path
) -> None:
    """A copy without locks, while a commit waits between the binary log and the storage engine."""
    running, stream = saved.running, saved.running.home / "prepared"
    options = running.home / "root-too.cnf"
    options.write_text(mariadb.client_options("root", mariadb.ROOT_PASSWORD, running.server.socket))
    mariadb.query(
        running.server, "CREATE TABLE own.t (i INT PRIMARY KEY); INSERT INTO own.t VALUES (1);"
        " SET GLOBAL innodb_flush_log_at_trx_commit = 1, rpl_semi_sync_master_wait_point = 'AFTER_SYNC',"
        " rpl_semi_sync_master_timeout = 600000, rpl_semi_sync_master_enabled = 1",
    )  # fmt: skip
    client = (programs.find("mariadb"), f"--defaults-file={options}", "--execute=INSERT INTO own.t VALUES (2)")
    with subprocess.Popen(client) as waiting:
        asked = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for semi-sync%'"
        deadline = time.monotonic() + 60
        while mariadb.query(running.server, asked) != [["1"]]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        words = ("mariadb-backup", f"--defaults-extra-file={options}", "--backup", "--stream=mbstream", "--no-lock")
        try:
            with stream.open("wb") as file:
                subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, check=True)
        finally:
            mariadb.query(running.server, "SET GLOBAL rpl_semi_sync_master_enabled = 0")
        waiting.wait()
    content = Stream(quote(("cat", str(stream))))
    done = drill.run(host, content, DrillOptions(1000, ("SELECT SUM(i) = 1 FROM own.t",), str(folder)))
    assert any("1 transactions were prepared" in remark for remark in done.remarks)
    new = folder / "new"
    wanted = restore.RestoreRequest(content, server={"replica": True})
    unpacked, _ = restore.to_directory(host, wanted, str(new))
    assert any("1 transactions were prepared" in line for line in unpacked.standing())
    with mariadb.serving(new) as copy:
        assert mariadb.query(copy, "SELECT i FROM own.t") == [["1"]]
        assert mariadb.query(copy, "SELECT user FROM mysql.user WHERE user LIKE 'cloudbackup%'") == []
    shutil.rmtree(new)
    assert list(folder.iterdir()) == []
