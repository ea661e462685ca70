"""Binary logs through the tasks: archived when there is something new, told in the report, replayed by `restore --at`."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import mariadb, process
from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tasks.app.checks import host_checks
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.integration.fleet.support import Operator, eventually, make_ready


@pytest.fixture(scope="module")
def clock() -> Iterator[Lab]:
    """A lab with one app: a database whose binary logs are archived."""
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("clock", megabytes=1, files=False, binlog=True),))
    make_ready(lab)
    yield lab
    lab.remove()
    shutil.rmtree(folder)


@pytest.fixture
def operator(clock: Lab) -> Operator:
    return Operator(clock.inventory)


def query(lab: Lab, statements: str) -> list[list[str]]:
    return mariadb.query(lab.apps["clock"].server, statements)


def records(lab: Lab, kind: str) -> list[dict[str, Any]]:
    folder = lab.box.home() / "cloudbackup" / "records" / "clock"
    return [json.loads(file.read_text()) for file in sorted(folder.glob(f"*-{kind}-????.json"))]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def tick(lab: Lab) -> int:
    """Insert a row and return its second, once that is over."""
    query(lab, "INSERT INTO clock.ticks (at) VALUES (UNIX_TIMESTAMP())")
    second = int(query(lab, "SELECT MAX(at) FROM clock.ticks")[0][0])
    assert eventually(lambda: time.time() >= second + 1)
    return second


def next_second() -> None:
    after = time.time() + 1
    assert eventually(lambda: time.time() >= after)


def test_nothing_new_means_no_flush_and_no_archive_and_is_quick(clock: Lab, operator: Operator) -> None:
    query(clock, "CREATE TABLE clock.ticks (id INT PRIMARY KEY AUTO_INCREMENT, at INT)")
    printed = operator.done("backup")
    assert [line.split()[:3] for line in printed.splitlines()[:2]] == [
        ["clock", "mariadb", "ok"],
        ["clock", "binlog", "ok"],
    ]
    logs, archives = query(clock, "SHOW BINARY LOGS"), operator.archives("clock")
    until = seconds(operator.report()["clock", "binlog"]["recoverable_until"])
    for _ in range(2):
        running, began = operator.start("mariadb.binlog"), time.monotonic()
        printed = running.communicate()[0]
        took = time.monotonic() - began
        assert "nothing new" in printed
        next_second()  # of records of one second both stay
    assert took < 2 or os.getloadavg()[0] > 2  # seconds, on a machine that has them
    assert query(clock, "SHOW BINARY LOGS") == logs
    assert operator.archives("clock") == archives
    assert len(records(clock, "unchanged-binlog")) == 1
    rows = operator.report()
    assert rows["clock", "binlog"]["status"] == "ok"
    assert rows["clock", "binlog"]["error"] is None
    assert seconds(rows["clock", "binlog"]["recoverable_until"]) > until
    assert rows["clock", "mariadb"]["recoverable_until"] == rows["clock", "binlog"]["recoverable_until"]
    assert "recoverable until" in operator.done("report")


def test_a_moment_comes_back_in_a_folder_and_in_place(clock: Lab, operator: Operator) -> None:
    first, second = tick(clock), tick(clock)
    printed = operator.done("mariadb.binlog")
    assert "+" in printed
    third = tick(clock)
    at = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
    target = clock.folder / "restored"
    end = operator.inv("mariadb.restore", "--app", "clock", "--at", f"{third + 3600}", "--target", str(target))
    assert (end.returncode, "is not a time" in end.stderr) == (2, True)

    state = query(clock, "SELECT @@gtid_binlog_state")
    until = operator.report()["clock", "binlog"]["recoverable_until"]
    printed = operator.done("restore", "--app", "clock", "--at", at, "--yes")
    assert query(clock, "SELECT at FROM clock.ticks ORDER BY id") == [[str(first)]]
    assert query(clock, "SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'cloudbackup%'") == [["0"]]
    assert query(clock, "SELECT @@gtid_binlog_state") != state
    assert query(clock, "SELECT @@gtid_binlog_state")[0][0] in printed  # the new timeline goes on from there
    assert "make a backup now" in printed

    fourth = tick(clock)
    printed = operator.done("mariadb.binlog")
    assert "start over with" in printed
    row = operator.report()["clock", "binlog"]
    assert row["recoverable_until"] == until
    assert "make one" in row["error"]
    operator.done("mariadb.backup")
    base = records(clock, "backup-mariadb")[-1]["details"]["position"]
    fifth = tick(clock)
    operator.done("mariadb.binlog")
    row = operator.report()["clock", "binlog"]
    assert row["error"] is None
    assert seconds(row["recoverable_until"]) > fifth
    later = f"{datetime.fromtimestamp(fifth + 1, UTC):%Y-%m-%d %H:%M:%S}+00:00"
    operator.done("restore", "--app", "clock", "--at", later, "--target", str(target))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT at FROM clock.ticks ORDER BY id") == [
            [str(each)] for each in (first, fourth, fifth)
        ]
    shutil.rmtree(target)
    # A moment before the restore is still reached, by the binary logs of the same names from then.
    printed = operator.done("restore", "--app", "clock", "--at", at, "--target", str(target))
    assert f"as it was at {datetime.fromtimestamp(second).astimezone():%Y-%m-%d %H:%M:%S %Z}" in printed
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT at FROM clock.ticks ORDER BY id") == [[str(first)]]
    shutil.rmtree(target)

    operator.done("mariadb.verify", "--app", "clock")
    proven = records(clock, "verify-mariadb")[-1]["details"]
    assert (proven["position"], proven["gtid"]) == (f"{base['name']}:{base['offset']}", base["gtid"])
    assert base["gtid"]


def test_a_prune_keeps_the_logs_that_a_kept_base_goes_on_with(clock: Lab, operator: Operator) -> None:
    """It takes the other base, by rules of the database's own; those of the logs alone would leave one log."""
    operator.change("apps/clock.yml", lambda app: app.update(keep={"mariadb": {"last": 1}, "binlog": {"last": 1}}))
    names = operator.archives("clock")
    assert len([name for name in names if "-binlog-" in name]) > 2
    older, _ = (name for name in names if "-mariadb-" in name)
    assert "1 removed, " in operator.done("prune", "--yes")
    assert operator.archives("clock") == [name for name in names if name != older]
    newest = query(clock, "SELECT MAX(at) FROM clock.ticks")
    at, target = datetime.fromtimestamp(int(newest[0][0]) + 1, UTC), clock.folder / "pruned"
    operator.done("restore", "--app", "clock", "--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "--target", str(target))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT MAX(at) FROM clock.ticks") == newest
    shutil.rmtree(target)


def test_the_check_names_the_rights_that_the_account_lacks(clock: Lab) -> None:
    with Session(load(clock.inventory)) as session:
        app = session.inventory.select(("clock",), None)[0]

        def told(level: str) -> list[str]:
            return [f"{each.text}: {each.remedy}" for each in host_checks(session, app) if each.level == level]

        lacks_super = "the account lacks SUPER: backups are a little larger"
        assert [line for line in told("warning") if line.startswith(lacks_super)]
        assert told("error") == []
        query(clock, "REVOKE BINLOG MONITOR ON *.* FROM backup@localhost; GRANT SUPER ON *.* TO backup@localhost")
        try:
            asked = "'backup'@'localhost' may not BINLOG MONITOR: run on the server: GRANT BINLOG MONITOR ON *.* TO"
            assert [line for line in told("error") if line.startswith(asked)]
            assert not [line for line in told("warning") if line.startswith(lacks_super)]
        finally:
            query(clock, "REVOKE SUPER ON *.* FROM backup@localhost; GRANT BINLOG MONITOR ON *.* TO backup@localhost")


def test_what_cannot_be_reached_is_refused_by_name(clock: Lab, operator: Operator, tmp_path: Path) -> None:
    target = ("--target", str(clock.folder / "refused"))
    end = operator.inv("restore", "--app", "clock", "--at", "2020-01-01 00:00:00", *target)
    assert end.returncode == 5
    assert "the oldest whole backup ended" in end.stderr
    assert not (clock.folder / "refused").exists()

    tick(clock)
    query(clock, "FLUSH BINARY LOGS; INSERT INTO clock.ticks (at) VALUES (0); FLUSH BINARY LOGS")
    newest = query(clock, "SHOW BINARY LOGS")[-1][0]
    purge = f"PURGE BINARY LOGS TO '{newest}'; SHOW BINARY LOGS"
    assert eventually(lambda: len(query(clock, purge)) == 1)  # one that a checkpoint needs stays a little longer
    printed = operator.done("mariadb.binlog")
    assert "was purged before it was saved" in printed
    row = operator.report()["clock", "binlog"]
    assert "make one" in row["error"]


def test_a_server_without_binary_logs_is_told(clock: Lab, operator: Operator) -> None:
    app = clock.apps["clock"]
    configuration = app.server.configuration.read_text()
    mariadb.stop(app.server, app.home)
    app.server.configuration.write_text(configuration.replace("log_bin=binlog\n", ""))
    mariadb.start(app.server, app.home, {process.MARKER: str(clock.folder)})
    end = operator.inv("mariadb.binlog")
    assert end.returncode == 4
    assert "the server writes no binary logs" in end.stdout
    assert operator.report()["clock", "binlog"]["status"] == "failed"
    mariadb.stop(app.server, app.home)
    app.server.configuration.write_text(configuration)
    mariadb.start(app.server, app.home, {process.MARKER: str(clock.folder)})
