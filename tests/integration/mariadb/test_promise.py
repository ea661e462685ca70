"""What the report promises as recoverable is what `restore --at` brings back, to the second and no further."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lab import mariadb
from tests.integration.fleet.support import Operator, eventually
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded


@pytest.fixture
def former(filled: Path, tmp_path: Path) -> Iterator[tuple[Running, Operator]]:
    """A former replica, with an old domain and without log_slave_updates, and an operator who saves its binary logs."""
    running = make(Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")), filled)
    try:
        mariadb.query(running.server, "SET GLOBAL gtid_slave_pos = '5-9-1000'; CREATE TABLE shop.news (a INT)")
        yield running, onboarded(running, tmp_path, binlog=True)
    finally:
        running.remove()


def promise(operator: Operator) -> tuple[datetime, str]:
    row = operator.report()["replica", "binlog"]
    return datetime.fromisoformat(row["recoverable_until"]), row["error"] or ""


def restored(operator: Operator, at: datetime, target: Path) -> list[list[str]]:
    operator.done("restore", "--app", "replica", "--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "--target", str(target))
    with mariadb.serving(target) as copy:
        rows = mariadb.query(copy, "SELECT a FROM shop.news ORDER BY a")
    shutil.rmtree(target)
    return rows


def refused(operator: Operator, at: datetime, target: Path) -> str:
    words = ("--app", "replica", "--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "--target", str(target))
    end = operator.inv("restore", *words)
    assert end.returncode == 5, end.stderr
    assert not target.exists()
    return end.stderr


def test_what_the_report_promises_is_restored_and_no_second_more(
    former: tuple[Running, Operator], tmp_path: Path
) -> None:
    running, operator = former
    target = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"), "new")
    target.parent.chmod(0o755)

    def write(statements: str, *commands: str) -> tuple[datetime, str]:
        mariadb.query(running.server, statements)
        second = time.time() + 1  # what is dated in the second of the promise is not in it
        assert eventually(lambda: time.time() >= second)
        for command in commands:
            operator.inv(command, "--app", "replica")
        return promise(operator)

    try:
        until, why = write("INSERT INTO shop.news VALUES (1)", "mariadb.backup")
        assert restored(operator, until, target) == [["1"]]  # without any binary log

        until, why = write("INSERT INTO shop.news VALUES (2)", "mariadb.binlog")
        assert why == ""
        assert restored(operator, until, target) == [["1"], ["2"]]
        refused(operator, until + timedelta(seconds=1), target)

        until, why = write("DO 1", "mariadb.backup", "mariadb.binlog")  # nothing new: no archive after the backup
        assert why == ""
        assert restored(operator, until, target) == [["1"], ["2"]]

        _, why = write(
            "SET GLOBAL server_id = 77; FLUSH BINARY LOGS; INSERT INTO shop.news VALUES (3)", "mariadb.binlog"
        )
        again, why = promise(operator)
        assert "of another server_id (77)" in why
        assert restored(operator, again, target) == [["1"], ["2"]]
        refused(operator, again + timedelta(seconds=60), target)

        until, why = write("SET GLOBAL gtid_slave_pos = '5-9-2000'", "mariadb.backup")
        assert restored(operator, until, target) == [["1"], ["2"], ["3"]]
        now, why = write("SET GLOBAL gtid_slave_pos = '5-9-3000'; INSERT INTO shop.news VALUES (4)", "mariadb.binlog")
        assert (now, "log_slave_updates" in why) == (until, True)
        assert "log_slave_updates" in refused(operator, now + timedelta(seconds=5), target)
    finally:
        shutil.rmtree(target.parent)
