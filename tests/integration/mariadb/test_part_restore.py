"""One table or database of a backup, beside the live data of a server that goes on."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import mariadb
from tests.integration.fleet.support import CHECKOUT, Operator
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded

TABLES = r"""
CREATE DATABASE crm;
USE crm;
CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) CHARACTER SET latin1, born DATE);
CREATE TABLE notes (id INT AUTO_INCREMENT, person INT, said TEXT, at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  size INT GENERATED ALWAYS AS (CHAR_LENGTH(said)) STORED, tags JSON, place POINT, raw BLOB, ratio FLOAT,
  kind ENUM('a','b''c') DEFAULT 'b''c' COMMENT 'one;\n of `them`', PRIMARY KEY (id), FULLTEXT KEY words (said),
  CONSTRAINT owner FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE, CHECK (person > 0));
CREATE TABLE log (id INT, day INT, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)
  (PARTITION old VALUES LESS THAN (10), PARTITION rest VALUES LESS THAN MAXVALUE);
CREATE TABLE `od``d; -- \! x` (`a ``b` INT PRIMARY KEY);
INSERT INTO people (name, born) VALUES ('M\u00fcller', '2000-02-29'), ('it''s \\ ;\n', NULL), ('Zed', NULL);
INSERT INTO notes (person, said, place, raw, ratio, tags) VALUES
  (1, 'a;\n\\! touch /tmp/x', POINT(1, 2), X'00FF27', 0.1, '{"a": [1]}'), (2, '', NULL, '', 3.4e38, NULL), (1, NULL, NULL, NULL, -0, NULL);
INSERT INTO log VALUES (1, 1), (2, 20), (3, 10);
CREATE TRIGGER late BEFORE INSERT ON people FOR EACH ROW SET NEW.born = '1999-09-09';
CREATE VIEW seen AS SELECT name FROM people;
"""
BLOCK, UPGRADE = "rows-gone", "upgrade-mariadb"  # of the runbook
ROWS = "SELECT id, person, said, at, size, tags, ST_AsText(place), HEX(raw), ratio, kind FROM {}.notes ORDER BY id"


@dataclass(frozen=True)
class Saved:
    """A server whose database `crm` was saved, and lost rows since."""

    running: Running
    operator: Operator

    def query(self, statements: str) -> list[list[str]]:
        return mariadb.query(self.running.server, statements)

    def restore(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.operator.inv("restore", "--app", "replica", *words)

    def databases(self) -> set[str]:
        return {row[0] for row in self.query("SHOW DATABASES")} - {
            "mysql",
            "sys",
            "information_schema",
            "performance_schema",
        }


@pytest.fixture(scope="module")
def saved(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    running = make(folder, filled)
    try:
        mariadb.query(running.server, TABLES.replace(r"\u00fc", "ü"))
        mariadb.query(
            running.server, "GRANT ALL ON crm.* TO backup@localhost; GRANT ALL ON `crm\\_%`.* TO backup@localhost"
        )
        operator = onboarded(running, tmp_path_factory.mktemp("operator"))
        operator.done("mariadb.backup", "--app", "replica")
        yield Saved(running, operator)
    finally:
        running.remove()


def test_one_table_needs_only_its_own_members_of_the_archive(saved: Saved) -> None:
    saved.query(
        "CREATE DATABASE wide; USE wide; CREATE TABLE wide.kept (id INT PRIMARY KEY, pad CHAR(255)) ENGINE=InnoDB;"
        " INSERT INTO wide.kept SELECT seq, MD5(seq) FROM seq_1_to_20000; CREATE TABLE wide.other LIKE wide.kept;"
        " INSERT INTO wide.other SELECT seq, MD5(seq) FROM seq_1_to_200000; FLUSH TABLES"
    )
    try:
        saved.operator.done("mariadb.backup", "--app", "replica")
        part = saved.restore("--table", "wide.kept", "--into", "crm_part")
        assert part.returncode == 0, part.stdout + part.stderr
        read = re.search(r"only what it needs is read of the archive: ([0-9.]+) MB", part.stdout)
        assert read, part.stdout
        row = next(row for row in saved.operator.report().values() if row["source"] == "mariadb")
        assert float(read[1]) * 1e6 < row["size"] - 50e6  # without wide.other and shop's tables
        assert saved.query("CHECKSUM TABLE crm_part.kept")[0][1] == saved.query("CHECKSUM TABLE wide.kept")[0][1]
        rows = saved.operator.done("mariadb.dump", "--app", "replica", "--table", "wide.kept", "--format", "csv")
        assert rows.count("\n") == 20001
    finally:
        saved.query("DROP DATABASE wide; DROP DATABASE IF EXISTS crm_part")


def test_a_database_comes_back_beside_the_live_one(saved: Saved) -> None:
    before = saved.query(ROWS.format("crm"))
    end = saved.restore("--database", "crm")
    assert end.returncode == 0, end.stdout + end.stderr
    assert "crm is in the database crm_restored: 4 tables, 9 rows, compared with the backup" in end.stdout
    assert "1 foreign key left out" in end.stdout
    assert "not tables, and left out: seen" in end.stdout
    assert saved.query(ROWS.format("crm_restored")) == before == saved.query(ROWS.format("crm"))
    assert saved.query("CHECKSUM TABLE crm_restored.log, crm_restored.people, crm_restored.`od``d; -- \\! x`") == [
        [f"crm_restored.{row[0].removeprefix('crm.')}", row[1]]
        for row in saved.query("CHECKSUM TABLE crm.log, crm.people, crm.`od``d; -- \\! x`")
    ]
    made = "SELECT COUNT(*) FROM information_schema.{} WHERE {}_SCHEMA = 'crm_restored'"
    assert saved.query(made.format("TRIGGERS", "TRIGGER") + ";" + made.format("VIEWS", "TABLE")) == [["0"], ["0"]]
    again = saved.restore("--database", "crm")
    assert (again.returncode, "crm_restored is there already" in again.stderr) == (5, True)
    saved.query("DROP DATABASE crm_restored")


def test_what_is_not_in_the_backup_leaves_nothing_behind(saved: Saved) -> None:
    there = saved.databases()
    end = saved.restore("--table", "crm.none", "--into", "crm_2")
    assert (end.returncode, "crm has no table none in this backup" in end.stdout) == (4, True)
    assert (
        "GRANT ALL PRIVILEGES ON `foreign`.* TO '" in saved.restore("--table", "crm.notes", "--into", "foreign").stdout
    )
    for words in (
        ("--into", "crm"),
        ("--into", "mysql"),
        ("--target", "/srv/x"),
        ("--database", "crm"),
        ("--diff", "--missing-rows"),
        ("--diff", "--replace"),
    ):
        assert saved.restore("--table", "crm.notes", *words).returncode == 2
    assert saved.databases() == there


def test_rows_that_are_gone_come_back_and_no_other_changes(saved: Saved) -> None:
    saved.query("DELETE FROM crm.log WHERE id IN (1, 3); INSERT INTO crm.log VALUES (9, 9)")
    saved.query("UPDATE crm.notes SET said = 'A;' WHERE id = 1; DELETE FROM crm.notes WHERE id = 2")
    end = saved.restore("--table", "crm.notes", "--diff")
    assert end.returncode == 0, end.stdout + end.stderr
    told = "crm.notes: 1 row only in the backup, 0 rows only in the live table, 1 row in both but not alike"
    assert told in end.stdout
    assert saved.query("SELECT id FROM crm.notes") == [["1"], ["3"]]
    assert "--yes" in saved.restore("--table", "crm.log", "--missing-rows").stderr
    blocks = (CHECKOUT / "docs/runbook.md").read_text().partition(f"lines: {BLOCK} -->\n```bash\n")[2]
    diff, missing = (
        blocks.partition("```")[0]
        .replace("--app shop --table shop.orders", "--app replica --table crm.log")
        .splitlines()
    )
    assert "2 rows only in the backup" in saved.operator.done(*diff.split()[1:])
    end = saved.operator.inv(*missing.split()[1:], "--yes")
    assert end.returncode == 0, end.stdout + end.stderr
    assert "2 rows put back; now 0 rows only in the backup, 1 row only in the live table" in end.stdout
    assert saved.query("SELECT id, day FROM crm.log ORDER BY id") == [["1", "1"], ["2", "20"], ["3", "10"], ["9", "9"]]
    assert saved.query("SELECT said FROM crm.notes WHERE id = 1") == [["A;"]]
    saved.query("DELETE FROM crm.people WHERE id = 3")
    end = saved.restore("--table", "crm.people", "--missing-rows", "--yes")
    assert (end.returncode, "a trigger of the live table changed it" in end.stdout) == (3, True)
    assert saved.query("SELECT name, born FROM crm.people WHERE id = 3") == [["Zed", "1999-09-09"]]
    assert "crm_restored" not in saved.databases()


def test_a_table_takes_the_place_of_the_live_one_which_is_kept(saved: Saved) -> None:
    saved.query("REPLACE INTO crm.log VALUES (1, 1), (3, 10); UPDATE crm.log SET id = 7 WHERE id = 2")
    before = saved.query("SELECT id, day FROM crm.log ORDER BY id")
    assert saved.restore("--database", "crm", "--replace").returncode == 2
    assert "--yes" in saved.restore("--table", "crm.log", "--replace").stderr
    end = saved.restore("--table", "crm.people", "--replace", "--yes")
    assert (end.returncode, "foreign keys of crm.notes reference crm.people" in end.stderr) == (5, True)
    end = saved.restore("--table", "crm.log", "--replace", "--yes")
    assert end.returncode == 0, end.stdout + end.stderr
    assert saved.query("SELECT id, day FROM crm.log ORDER BY id") == [["1", "1"], ["2", "20"], ["3", "10"]]
    found = re.search(r"the table before is crm\.(log_kept_[0-9_]+)", end.stdout)
    assert found, end.stdout
    assert saved.query(f"SELECT id, day FROM crm.{found.group(1)} ORDER BY id") == before
    assert "1 row only in the backup" in end.stdout
    assert "PARTITION BY RANGE" in saved.query("SHOW CREATE TABLE crm.log")[0][1]
    assert "crm_restored" not in saved.databases()


def test_what_the_runbook_asks_for_around_an_upgrade(saved: Saved) -> None:
    lines = (
        (CHECKOUT / "docs/runbook.md").read_text().partition(f"lines: {UPGRADE} -->\n```bash\n")[2].partition("```")[0]
    )
    for line in lines.splitlines():
        words = line.partition("#")[0].replace("--app shop", "--app replica").split()[1:]
        end = saved.operator.inv(*words)
        assert end.returncode == 0, end.stdout + end.stderr
