"""A restored copy takes the place of the live table, at any step of which the operator may die."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from lab import mariadb
from tasks.errors import RefusedError
from tasks.mariadb.errors import DatabaseError
from tasks.mariadb.part_restore import Live
from tasks.mariadb.table_swap import REMAINS, Swapped, TableSwap, remains
from tasks.remote.host import LocalHost
from tests.integration.mariadb.conftest import Running

TABLES = r"""
CREATE DATABASE crm;
USE crm;
CREATE TABLE owners (id INT PRIMARY KEY);
INSERT INTO owners VALUES (1), (2), (3);
CREATE TABLE `no;tes` (id INT PRIMARY KEY AUTO_INCREMENT, owner INT, up INT, said TEXT, size INT AS (LENGTH(said)) STORED,
  changed INT NOT NULL DEFAULT 0, FULLTEXT KEY words (said), CONSTRAINT `of``owner` FOREIGN KEY (owner) REFERENCES owners (id)
  ON DELETE CASCADE ON UPDATE SET NULL, FOREIGN KEY (up) REFERENCES `no;tes` (id));
INSERT INTO `no;tes` (owner, up, said) VALUES (1, NULL, 'one'), (2, 1, 'two'), (2, 1, 'live');
DELIMITER //
CREATE TRIGGER `tou;chhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh1` BEFORE UPDATE ON `no;tes` FOR EACH ROW BEGIN SET NEW.changed = OLD.changed + 1; SET @t = 'ä;'; END//
CREATE TRIGGER `tou;chhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh2` BEFORE UPDATE ON `no;tes` FOR EACH ROW SET NEW.said = CONCAT(NEW.said, '!')//
DELIMITER ;
ALTER TABLE `no;tes` AUTO_INCREMENT = 50;
CREATE VIEW seen AS SELECT id, said FROM `no;tes`;
"""
COPY = """
CREATE DATABASE crm_restored;
USE crm_restored;
CREATE TABLE `no;tes` (id INT PRIMARY KEY AUTO_INCREMENT, owner INT, up INT, said TEXT, size INT AS (LENGTH(said)) STORED,
  changed INT NOT NULL DEFAULT 0, FULLTEXT KEY words (said), KEY `of``owner` (owner), KEY up (up));
INSERT INTO `no;tes` (id, owner, up, said) VALUES (1, 1, NULL, 'one'), (2, 2, 1, 'two'), (7, 3, 1, 'saved');
"""
OLD, NEW = [["1", "one"], ["2", "two"], ["3", "live"]], [["1", "one"], ["2", "two"], ["7", "saved"]]
NAMES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'crm' AND TABLE_TYPE = 'BASE TABLE'"


class Server:
    def __init__(self, running: Running) -> None:
        self.running = running
        self.query(
            "GRANT ALL ON crm.* TO backup@localhost; GRANT ALL ON crm_restored.* TO backup@localhost;"
            "GRANT SUPER ON *.* TO backup@localhost"
        )
        self.live = Live(LocalHost(), running.access(), "crm_restored")

    def query(self, statements: str) -> list[list[str]]:
        return mariadb.query(self.running.server, statements)

    def begin(self) -> None:
        self.query("DROP DATABASE IF EXISTS crm; DROP DATABASE IF EXISTS crm_restored")
        self.query(TABLES)
        self.query(COPY)

    def swap(self, ask: Callable[[str], list[str]] | None = None) -> Swapped:
        return TableSwap(ask or self.live.ask, "crm", "no;tes", "crm_restored").run()

    def rows(self, table: str = "no;tes") -> list[list[str]]:
        return self.query(f"SELECT id, said FROM crm.`{table}` ORDER BY id")

    def definition(self) -> str:
        made = self.query("SHOW CREATE TABLE crm.`no;tes`")[0][1]
        return "\n".join(sorted(made.replace("\\n", "\n").replace(",\n", "\n").splitlines()))

    def triggers(self) -> list[list[str]]:
        return self.query(
            "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, HEX(ACTION_STATEMENT), DEFINER, SQL_MODE, ACTION_ORDER"
            " FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_TABLE = 'no;tes' ORDER BY ACTION_ORDER"
        )

    def keys_hold(self) -> None:
        """A foreign key of the live table refuses a row that has no owner, and goes with its owner."""
        with pytest.raises(Exception, match="foreign key constraint"):
            self.query("INSERT INTO crm.`no;tes` (owner) VALUES (99)")


class KilledError(Exception):
    pass


class Mortal:
    """Changes something on the server so many times, and dies: whoever is dead takes nothing back either."""

    def __init__(self, server: Server, changes: int) -> None:
        self.server, self.left = server, changes

    def ask(self, statements: str) -> list[str]:
        self.left -= not statements.startswith("SELECT")  # what only asks leaves nothing behind
        if self.left < 0:
            raise KilledError
        return self.server.live.ask(statements)


@pytest.fixture
def server(own_shop: Running) -> Server:
    return Server(own_shop)


def test_the_new_table_has_all_that_the_one_before_had(server: Server) -> None:
    server.begin()
    before = server.triggers(), server.definition()
    done = server.swap()
    assert done.remarks == ()
    assert (server.rows(), server.rows(done.kept), server.rows("seen")) == (NEW, OLD, NEW)
    assert (server.triggers(), server.definition()) == before
    server.keys_hold()
    server.query("UPDATE crm.`no;tes` SET said = 'x' WHERE id = 7; DELETE FROM crm.owners WHERE id = 2")
    assert server.query("SELECT said, changed, size FROM crm.`no;tes` WHERE id = 7") == [["x!", "1", "2"]]
    assert server.rows() == [["1", "one"], ["7", "x!"]]
    assert server.rows(done.kept) == OLD  # its keys were taken from it
    server.query("INSERT INTO crm.`no;tes` (owner, said) VALUES (1, 'next')")
    assert server.rows()[-1] == ["51", "next"]  # 50 went to the row that was refused
    assert server.query(NAMES + " ORDER BY 1") == [["no;tes"], [done.kept], ["owners"]]


def test_a_table_that_is_gone_comes_back(server: Server) -> None:
    server.begin()
    server.query("DROP TABLE crm.`no;tes`")
    assert server.swap().kept == ""
    assert server.rows() == NEW


def test_killed_at_any_step_the_live_table_is_whole(server: Server) -> None:
    reached, kinds, left = 0, set(), set()
    for step in range(100):
        server.begin()
        before = server.definition()
        with suppress(KilledError):
            server.swap(Mortal(server, step).ask)
            reached = step
        rows, after = server.rows(), server.definition()
        kinds.add(str(rows))
        assert rows in (OLD, NEW)
        assert len(server.triggers()) == 2
        server.keys_hold()
        server.query("UPDATE crm.`no;tes` SET said = 'x' WHERE id = 2")
        assert server.query("SELECT said, changed FROM crm.`no;tes` WHERE id = 2") == [["x!", "1"]]
        if rows == NEW:
            kept = [name for (name,) in server.query(NAMES) if "_kept_" in name]
            assert server.rows(kept[0]) == OLD
        else:
            assert after == before
            tables = {table for (table,) in server.query(NAMES) if "_new_" in table}
            found = remains(server.live.ask(REMAINS))
            assert len(found) == len(tables)
            for what, remedy in found:
                server.query(remedy.partition(": ")[2])
                left.add(what.partition("_new_")[0])
            assert remains(server.live.ask(REMAINS)) == []
        if reached:
            break
    assert reached >= 8
    assert kinds == {str(OLD), str(NEW)}
    assert left == {"crm.no;tes"}


def test_what_cannot_be_done_safely_is_refused_and_nothing_changes(server: Server) -> None:
    server.begin()
    server.query("UPDATE crm_restored.`no;tes` SET owner = 99 WHERE id = 7")
    with pytest.raises(DatabaseError, match="foreign key constraint"):
        server.swap()
    assert (server.rows(), server.query(NAMES + " ORDER BY 1")) == (OLD, [["no;tes"], ["owners"]])
    server.begin()
    server.query(
        "CREATE DATABASE other; CREATE TABLE other.`ki d` (n INT, FOREIGN KEY (n) REFERENCES crm.`no;tes` (id))"
    )
    with pytest.raises(RefusedError, match=r"foreign keys of other\.ki"):
        server.swap()
    server.query("DROP DATABASE other; REVOKE SUPER ON *.* FROM backup@localhost")
    server.query("REVOKE TRIGGER ON crm.* FROM backup@localhost")
    with pytest.raises(RefusedError, match="cannot see whether"):
        server.swap()
    server.query("GRANT ALL ON crm.* TO backup@localhost; ALTER TABLE crm.`no;tes` ADD SYSTEM VERSIONING")
    with pytest.raises(RefusedError, match="system versioning"):
        server.swap()
    assert server.rows() == OLD
