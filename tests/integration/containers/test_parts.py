"""A backup of a MariaDB in a container is asked, dumped and restored in parts, on a host that has no MariaDB."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.remote.ssh import fingerprint
from tests.integration.containers.conftest import new_operator
from tests.integration.containers.podman import Podman
from tests.integration.fleet.support import Operator

ALL = "SELECT COUNT(*), SUM(id) FROM shop.orders"
SUMS = "1000\t500500"


@pytest.fixture(scope="module")
def saved(podman: Podman, way: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Return an operator with an app whose database is saved, and rows of which are gone since."""
    operator = new_operator(tmp_path_factory.mktemp("parts"))
    trusted = f"--fingerprint={fingerprint(podman.host.host_key)}"
    podman.query("shop-db", "REPLACE INTO shop.orders SELECT seq FROM shop.seq_1_to_1000")
    podman.query("shop-db", "DELETE FROM shop.orders WHERE id > 1000")
    with podman.without_mariadb():
        operator.done("app.add", "--app", "db", "--container", "shop-db", "--binlog", *way, trusted)
        podman.query("shop-db", "DELETE FROM shop.orders WHERE id > 990")
        yield operator
        podman.query("shop-db", "INSERT IGNORE INTO shop.orders SELECT seq FROM shop.seq_1_to_1000")
    assert podman.inside("podman", "ps", "--all", "--format={{.Names}}").split() == ["shop-db", "shop-web"]
    assert not podman.inside("find", "/var/tmp", "-maxdepth", "1", "-name", "cloudbackup-open-*")


def test_a_backup_is_asked_and_dumped(podman: Podman, saved: Operator, tmp_path: Path) -> None:
    words = ("--app", "db", "--format", "json")
    answer = json.loads(saved.done("mariadb.open", *words, "--query", "SELECT COUNT(*) AS n FROM shop.orders"))
    assert answer == [{"n": 1000}]
    moment = podman.query("shop-db", "SELECT UTC_TIMESTAMP()")
    podman.query("shop-db", "DO SLEEP(1.1); DELETE FROM shop.orders WHERE id > 900")
    saved.done("mariadb.binlog")
    counted = ("--query", "SELECT COUNT(*) AS n FROM shop.orders", "--at", f"{moment}Z")
    assert json.loads(saved.done("mariadb.open", *words, *counted)) == [{"n": 990}]
    target = tmp_path / "orders.sql"
    saved.done("mariadb.dump", "--app", "db", "--table", "shop.orders", "--where", "id > 998", "--target", str(target))
    assert "(999),\n(1000);" in target.read_text()


def test_a_server_is_open_to_a_client_of_its_own_container(podman: Podman, saved: Operator) -> None:
    with saved.start("mariadb.open", "--app", "db") as started:
        assert started.stdout is not None
        line = next(line for line in started.stdout if line.startswith("connect on"))
        client = line.partition(": ")[2].strip()
        assert podman.inside("bash", "-c", client, text=ALL).splitlines()[1:] == [SUMS]
        (mine,) = podman.inside("podman", "ps", "--filter=name=cloudbackup-", "--format={{.Names}}").split()
        said = podman.inside("podman", "inspect", mine)
        os.kill(started.pid, signal.SIGTERM)
        started.stdout.read()
        assert started.wait() == 130
    assert "MYSQL_PWD" not in said


def test_rows_a_table_and_a_database_come_back(podman: Podman, saved: Operator) -> None:
    podman.query("shop-db", "DROP DATABASE IF EXISTS shop_restored")
    part = ("restore", "--app", "db", "--yes")
    podman.query("shop-db", "DELETE FROM shop.orders WHERE id > 990")
    saved.done(*part, "--table", "shop.orders")
    assert podman.query("shop-db", ALL.replace("shop.", "shop_restored.")) == SUMS
    saved.done(*part, "--database", "shop", "--into", "whole")
    assert podman.query("shop-db", ALL.replace("shop.", "whole.")) == SUMS
    assert "rows put back" in saved.done(*part, "--table", "shop.orders", "--missing-rows", "--into", "again")
    assert podman.query("shop-db", ALL) == SUMS
    podman.query("shop-db", "DROP DATABASE shop_restored; DROP DATABASE whole")
