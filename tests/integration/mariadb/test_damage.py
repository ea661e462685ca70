"""A table with a damaged page on the live server: named, and with the inventory's word the rest is saved all the same."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb
from tests.integration.fleet.support import Operator
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.onboarded import onboarded

PAGE = 16384
INDEX, LEAF = (0x45BF).to_bytes(2, "big"), bytes(2)  # type of a page, and level in its tree (fil0fil.h, page0types.h)
ROWS = """
USE shop;
CREATE TABLE shop.harmed (i INT PRIMARY KEY, t TEXT);
INSERT INTO shop.harmed SELECT seq, REPEAT('h', 200) FROM seq_1_to_2000;
CREATE TABLE shop.parts (i INT) PARTITION BY HASH(i) PARTITIONS 2; INSERT INTO shop.parts SELECT seq FROM seq_1_to_4000;
SET GLOBAL innodb_fast_shutdown = 0
"""


def damage(file: Path, which: int) -> int:
    """Change bytes in a page of rows, the one of that place among them, and return its number."""
    data = file.read_bytes()
    pages = [
        number
        for number in range(len(data) // PAGE)
        if data[number * PAGE + 24 :][:2] == INDEX and data[number * PAGE + 64 :][:2] == LEAF
    ]
    with file.open("r+b") as target:
        target.seek(pages[which] * PAGE + 5000)
        target.write(b"damaged!")
    return pages[which]


@pytest.fixture
def target() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "new"
    shutil.rmtree(folder)


def harmed(running: Running) -> tuple[int, int]:
    """Return which pages of two tables are damaged now."""
    mariadb.query(running.server, ROWS)
    running.stop()
    folder = running.server.datadir / "shop"
    pages = damage(folder / "harmed.ibd", 5), damage(folder / "parts#P#p1.ibd", 1)
    running.start()
    return pages


def words_of(operator: Operator) -> Operator:
    operator.change("apps/replica.yml", lambda app: app["mariadb"].update(damaged="save"))
    return operator


def test_a_damaged_table_is_named_and_with_a_word_the_rest_is_saved(
    own_shop: Running, tmp_path: Path, target: Path
) -> None:
    first, second = harmed(own_shop)
    sums = "SELECT COUNT(*), SUM(CRC32(t)) FROM shop.harmed WHERE i < 200"
    live = mariadb.query(own_shop.server, sums)
    operator = onboarded(own_shop, tmp_path)
    failed = operator.inv("backup", "--app", "replica")
    assert failed.returncode == 4
    assert f"page {first} of the table shop/harmed is damaged on the live server" in failed.stdout
    assert "damaged: save" in failed.stdout
    assert operator.archives("replica") == []

    saved = words_of(operator).inv("backup", "--app", "replica")
    assert saved.returncode == 4, saved.stdout
    assert f"shop.harmed: page {first} was damaged on the server" in saved.stdout
    assert f"shop.parts#P#p1: page {second} was damaged on the server" in saved.stdout
    row = operator.report()["replica", "mariadb"]
    assert row["status"] == "incomplete"
    assert row["incomplete"]["count"] == 2
    assert row["incomplete"]["first"][0] == f"shop.harmed: page {first} was damaged on the server"

    drilled = operator.inv("verify", "--app", "replica", "--scratch", str(target.parent))
    assert f"shop.harmed: page {first} was damaged on the server that was saved already" in drilled.stdout
    assert f"shop.parts: page {second} was damaged on the server that was saved already" in drilled.stdout
    assert operator.report()["replica", "mariadb"]["status"] == "incomplete"

    restored = operator.inv("restore", "--app", "replica", "--target", str(target))
    assert restored.returncode == 3, restored.stdout
    assert f"shop.harmed: page {first} was damaged on the server that was saved already" in restored.stdout
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, sums) == live
        checked = mariadb.query(copy, "CHECK TABLE shop.orders EXTENDED")
        assert checked[-1][2:] == ["status", "OK"]
        assert mariadb.query(copy, "SELECT COUNT(*) FROM shop.parts PARTITION (p0)") == [["2000"]]
        mariadb.query(copy, "DROP TABLE shop.harmed")


def test_a_drill_of_damage_that_no_record_knows_fails(own_shop: Running, tmp_path: Path, target: Path) -> None:
    """The archive's own list is the host's word."""
    harmed(own_shop)
    operator = words_of(onboarded(own_shop, tmp_path))
    assert operator.inv("backup", "--app", "replica").returncode == 4
    (records,) = tmp_path.rglob("records")
    for file in records.rglob("*backup*.json"):
        file.write_text(file.read_text().replace('"damaged"', '"other"'))
    drilled = operator.inv("verify", "--app", "replica", "--scratch", str(target.parent))
    assert drilled.returncode == 4
    assert "2 of " in drilled.stdout
    assert "tables are damaged" in drilled.stdout


def test_damage_in_what_every_table_needs_makes_no_archive(own_shop: Running, tmp_path: Path) -> None:
    """The server has the page in its memory, so it runs on; the page on its disk is damaged."""
    operator = words_of(onboarded(own_shop, tmp_path))
    mariadb.query(
        own_shop.server, "SET GLOBAL innodb_max_dirty_pages_pct = 0, GLOBAL innodb_log_checkpoint_now = ON",
    )  # fmt: skip
    file = own_shop.server.datadir / "ibdata1"
    with file.open("r+b") as system:
        system.seek(7 * PAGE + 4000)  # the dictionary's header
        system.write(b"damaged!")
        os.fsync(system.fileno())
    failed = operator.inv("backup", "--app", "replica")
    assert failed.returncode == 4
    assert "damaged: ibdata1 on the server (page 7 was damaged), a file that every table needs" in failed.stdout
    assert operator.archives("replica") == []
