"""What a person is asked for after a restore in place, and what of a replica's position is known then."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import mariadb
from tasks.mariadb import dump, replica_position, restore, server
from tasks.mariadb.access import Access
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.fleet.support import Operator, eventually
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.onboarded import onboarded

CHOSEN = ("--app", "replica")
POSITION = "0-77-1234"


def in_place(running: Running) -> dict[str, Any]:
    """Return how the inventory has a server that may be restored in place."""
    database = running.access().database
    return {"start": list(database.start), "stop": list(database.stop)}


def row(operator: Operator) -> dict[str, Any]:
    return operator.report(*CHOSEN)["replica", "binlog"]


def now(running: Running) -> str:
    """Return a moment of the server's once it is over."""
    moment = int(mariadb.query(running.server, "SELECT UNIX_TIMESTAMP() + 1")[0][0])
    query = f"SELECT UNIX_TIMESTAMP() > {moment}"
    assert eventually(lambda: mariadb.query(running.server, query) == [["1"]])
    return mariadb.query(running.server, f"SELECT DATE_FORMAT(FROM_UNIXTIME({moment}), '%Y-%m-%d %H:%i:%S')")[0][0]


@pytest.mark.parametrize("logs_first", [False, True], ids=["backup at once", "a run of the logs alone before"])
def test_the_backup_after_a_restore_in_place_asks_for_no_further_one(
    own_shop: Running, tmp_path: Path, logs_first: bool
) -> None:
    operator = onboarded(own_shop, tmp_path, binlog=True, **in_place(own_shop))
    mariadb.query(own_shop.server, "CREATE TABLE shop.news (a INT); INSERT INTO shop.news VALUES (1)")
    operator.done("backup", *CHOSEN)
    mariadb.query(own_shop.server, "INSERT INTO shop.news VALUES (2)")
    operator.done("mariadb.binlog", *CHOSEN)
    assert "make a backup now: `inv backup --app replica`" in operator.done("restore", *CHOSEN, "--yes")
    mariadb.query(own_shop.server, "INSERT INTO shop.news VALUES (3)")
    if logs_first:  # nothing is there yet with which these logs go on
        assert "make a new backup" in operator.inv("mariadb.binlog", *CHOSEN).stdout
        assert row(operator)["error"]
    printed = operator.done("backup", *CHOSEN)
    assert "make a new backup" not in printed
    assert row(operator)["error"] is None
    assert row(operator)["status"] == "ok"

    at = now(own_shop)
    mariadb.query(own_shop.server, "INSERT INTO shop.news VALUES (4)")
    now(own_shop)
    assert "make a new backup" not in operator.done("mariadb.binlog", *CHOSEN)
    target = own_shop.server.folder / "moment"
    operator.done("restore", *CHOSEN, "--at", f"{at}+00:00", "--target", str(target))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT a FROM shop.news ORDER BY a") == [["1"], ["3"]]


@pytest.fixture
def container(own_shop: Running) -> Access:
    """The way to a server in namespaces of its own, as in a container, that stands where its master once was."""
    mariadb.query(own_shop.server, f"SET GLOBAL gtid_slave_pos = '{POSITION}'")
    prefix = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "--"]
    return own_shop.access(exec=prefix, datadir=str(own_shop.server.datadir))


def saved(host: LocalHost, access: Access, file: Path) -> tuple[Stream, dict[str, Any]]:
    """Make a backup; return it, and what its record has of the server."""
    asked = server.ask(host, access)
    content = dump.dump(access, asked.tools, dump.DumpOptions(16384, checkpoint=False, replica=bool(asked.replica)))
    made = host.run(Script(f"({content.body}) | tar -xBOf - > {quote((str(file),))}", content.environment))
    assert made.ok, made.error_text
    return Stream(quote(("cat", str(file)))), asked.details


def test_a_replica_behind_exec_tells_where_its_own_data_stands(
    own_shop: Running, container: Access, host: LocalHost, tmp_path: Path
) -> None:
    content, details = saved(host, container, tmp_path / "stream")
    mariadb.query(own_shop.server, "SET GLOBAL gtid_slave_pos = '0-77-9999'")
    placed = restore.in_place(host, container, restore.RestoreRequest(content, server=details))
    assert f"gtid_slave_pos = '{POSITION}'" in " ".join(placed.unpacked.standing())
    assert "9999" not in " ".join(placed.unpacked.standing())
    assert not placed.unpacked.doubtful


def test_a_position_that_nobody_could_ask_for_is_in_doubt(container: Access, host: LocalHost, tmp_path: Path) -> None:
    content, details = saved(host, container, tmp_path / "stream")
    unpacked = restore.in_place(host, container, restore.RestoreRequest(content, server=details)).unpacked
    noted = replace(unpacked, replica="SET GLOBAL gtid_slave_pos = '0-1-1';")
    mute = Access(container.database.model_copy(update={"socket": "/nowhere/s"}), container.password)
    found = replica_position.answered(host, mute, noted, details)
    assert (found.replica, found.doubtful) == (noted.replica, True)
    assert [line for line in found.standing() if "could not be asked of its data" in line and "/nowhere/s" in line]
    assert replica_position.answered(host, mute, replace(unpacked, replica=""), {}) == replace(unpacked, replica="")
