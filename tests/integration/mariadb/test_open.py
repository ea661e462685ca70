"""A backup asked by SQL and dumped, on a private server of which nothing stays."""

import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import mariadb
from tests.integration.fleet.support import PROGRAM, Operator, eventually
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded

TABLES = """
CREATE TABLE shop.odd (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(200), b VARBINARY(20), d DECIMAL(30,10), f DOUBLE,
  at TIMESTAMP NULL, size INT GENERATED ALWAYS AS (LENGTH(t)) STORED);
INSERT INTO shop.odd (t, b, d, f, at) VALUES
  ('NULL', X'00FF', 1234567890123.0000000001, 2e300, '2026-01-02 03:04:05'),
  (CONCAT(CHAR(27), '[31m\\t,"q\\n'), '', 0, -1.5, NULL), ('', NULL, NULL, NULL, NULL);
CREATE VIEW shop.seen AS SELECT id FROM shop.odd;
CREATE PROCEDURE shop.rob() DELETE FROM shop.odd;
CREATE TRIGGER shop.late BEFORE INSERT ON shop.odd FOR EACH ROW SET NEW.d = 1;
CREATE USER 'odd;one'@'%' IDENTIFIED BY 'x';
CREATE ROLE readers;
GRANT SUPER ON *.* TO 'odd;one'@'%' WITH GRANT OPTION;
GRANT SELECT (id), UPDATE (t) ON shop.odd TO 'odd;one'@'%';
GRANT EXECUTE ON PROCEDURE shop.rob TO readers;
GRANT readers TO 'odd;one'@'%';
SET DEFAULT ROLE readers FOR 'odd;one'@'%';
"""


@dataclass(frozen=True)
class Saved:
    """A server, its operator, the folder for its private servers, and a moment after the backup: row 2 was gone."""

    running: Running
    operator: Operator
    scratch: Path
    moment: str

    def words(self, task: str, *words: str) -> tuple[str, ...]:
        return (task, "--app", "replica", "--scratch", str(self.scratch), *words)

    def rows(self, *words: str) -> list[dict[str, object]]:
        found = json.loads(self.operator.done(*self.words("mariadb.open", "--format", "json", *words)))
        assert isinstance(found, list)
        return found

    def left(self) -> list[str]:
        return [path.name for path in self.scratch.iterdir()]


@pytest.fixture(scope="module")
def saved(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    scratch = Path(tempfile.mkdtemp(prefix="cb-", dir="/var/tmp"))
    scratch.chmod(0o711)
    running = make(folder, filled)
    try:
        mariadb.query(running.server, TABLES)
        operator = onboarded(running, tmp_path_factory.mktemp("operator"), binlog=True)
        operator.done("mariadb.backup", "--app", "replica")
        mariadb.query(running.server, "DELETE FROM shop.odd WHERE id = 2")
        second = int(time.time()) + 1
        assert eventually(lambda: time.time() >= second)
        operator.done("mariadb.binlog", "--app", "replica")
        yield Saved(running, operator, scratch, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}")
        assert not list(scratch.iterdir())
    finally:
        running.remove()
        scratch.rmdir()


def test_a_query_answers_with_the_types_of_its_columns(saved: Saved) -> None:
    found = saved.rows("--query", "SELECT * FROM shop.odd ORDER BY id")
    assert found[0] == {
        "id": 1, "t": "NULL", "b": "0x00FF", "d": "1234567890123.0000000001", "f": 2e300,
        "at": "2026-01-02 03:04:05", "size": 4,
    }  # fmt: skip
    assert (found[1]["t"], found[1]["b"], found[1]["f"]) == ('\x1b[31m\t,"q\n', "0x", -1.5)
    assert (found[2]["t"], found[2]["b"], found[2]["at"]) == ("", None, None)


def test_a_query_at_a_moment_sees_what_was_replayed(saved: Saved) -> None:
    assert saved.rows("--at", saved.moment, "--query", "SELECT id FROM shop.odd") == [{"id": 1}, {"id": 3}]


def test_what_would_change_something_is_refused_and_nothing_stays(saved: Saved) -> None:
    for statement in (
        "DELETE FROM shop.odd",
        "CALL shop.rob(",
        "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/x'",
    ):
        end = saved.operator.inv(*saved.words("mariadb.open", "--query", statement))
        assert (end.returncode, end.stdout) == (3, "")
        assert "the private server refuses it: ERROR" in end.stderr
    assert not saved.left()


def test_a_dump_loaded_by_the_stock_client_has_the_rows_of_the_backup(saved: Saved, tmp_path: Path) -> None:
    target = tmp_path / "dump.sql"
    saved.operator.done(*saved.words("mariadb.dump", "--database", "shop", "--target", str(target)))
    assert target.stat().st_mode & 0o777 == 0o600
    assert "TRIGGER" not in target.read_text()
    assert "DROP TABLE" not in target.read_text()
    mariadb.query(saved.running.server, "CREATE DATABASE copy")
    mariadb.query(saved.running.server, target.read_text(), "copy")
    there = mariadb.query(saved.running.server, "SELECT id, HEX(t), HEX(b), d, f, at, size FROM copy.odd ORDER BY id")
    assert [row[:3] for row in there] == [
        ["1", "4E554C4C", "00FF"],
        ["2", b'\x1b[31m\t,"q\n'.hex().upper(), ""],
        ["3", "", "NULL"],
    ]
    again = saved.operator.inv(*saved.words("mariadb.dump", "--database", "shop", "--target", str(target)))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_an_archive_that_no_record_knows_is_served_and_ends_with_a_warning(saved: Saved) -> None:
    """Whoever has the host's key could have made it: the rows alone do not tell that to a script."""
    (record,) = saved.operator.inventory.parent.rglob("*-backup-mariadb*.json")
    archive, aside = json.loads(record.read_text())["archive"], record.with_name("aside")
    record.rename(aside)
    try:
        for words in (("mariadb.open", "--query", "SELECT 1"), ("mariadb.dump", "--table", "shop.odd")):
            end = saved.operator.inv(*saved.words(*words, "--archive", archive))
            assert (end.returncode, "no record" in end.stderr) == (3, True), end
            assert end.stdout
    finally:
        aside.rename(record)


def test_rows_code_and_csv_of_a_table(saved: Saved) -> None:
    words = ("--table", "shop.odd", "--where", "id = 2", "--no-create", "--insert-ignore")
    rows = saved.operator.done(*saved.words("mariadb.dump", *words))
    assert rows.count("INSERT IGNORE INTO `odd`") == 1
    assert "CREATE TABLE" not in rows
    code = saved.operator.done(
        *saved.words("mariadb.dump", "--database", "shop", "--triggers", "--routines", "--no-rows")
    )
    assert "TRIGGER shop.late" in code
    assert "PROCEDURE `rob`" in code
    csv = saved.operator.done(
        *saved.words("mariadb.dump", "--table", "shop.odd", "--format", "csv", "--where", "id <> 2")
    )
    assert csv.splitlines()[1:] == [
        "1,NULL,0x00FF,1234567890123.0000000001,2e+300,2026-01-02 03:04:05,4",
        '3,"",,,,,0',
    ]


def test_accounts_come_with_the_rights_that_they_had(saved: Saved) -> None:
    words = ("--no-create", "--no-rows", "--grants")
    written = saved.operator.done(*saved.words("mariadb.dump", *words))
    assert re.search(r"^GRANT SUPER ON \*\.\* TO `odd;one`@`%`.* WITH GRANT OPTION;$", written, re.MULTILINE)
    assert "cloudbackup" not in written
    grants = "SHOW GRANTS FOR 'odd;one'@'%'; SHOW GRANTS FOR readers; SHOW CREATE USER 'odd;one'@'%'"
    before = mariadb.query(saved.running.server, grants)
    mariadb.query(saved.running.server, "DROP USER 'odd;one'@'%'; DROP ROLE readers")
    mariadb.query(saved.running.server, written)
    assert mariadb.query(saved.running.server, grants) == before


def test_a_dump_that_fails_leaves_no_file(saved: Saved, tmp_path: Path) -> None:
    for words in (("--table", "shop.odd", "--table", "shop.none"), ("--table", "shop.odd", "--where", "nope = 1")):
        end = saved.operator.inv(*saved.words("mariadb.dump", *words, "--target", str(tmp_path / "dump.sql")))
        assert (end.returncode, "mariadb-dump ended with exit code" in end.stderr) == (3, True)
        assert not list(tmp_path.iterdir())


def test_an_open_server_goes_with_whoever_opened_it(saved: Saved) -> None:
    for number, code in ((signal.SIGTERM, 130), (signal.SIGKILL, -9)):
        with saved.operator.start(*saved.words("mariadb.open")) as started:
            assert started.stdout is not None
            line = next(line for line in started.stdout if line.startswith("connect on"))
            options = line.rpartition("--defaults-file=")[2].strip()
            client = ("mariadb", f"--defaults-file={options}", "--batch", "-N", "-e", "SELECT COUNT(*) FROM shop.odd")
            assert subprocess.run(client, capture_output=True, text=True, check=True).stdout == "3\n"
            os.kill(started.pid, number)
            started.stdout.read()
            assert started.wait() == code
        assert eventually(lambda: not saved.left(), 60)


def test_a_session_at_a_terminal_draws_nothing_of_what_the_data_says(saved: Saved) -> None:
    main, other = pty.openpty()
    task = subprocess.Popen(
        [*PROGRAM, *saved.words("mariadb.open", "--for", "5m")],
        env=saved.operator.environment() | {"TERM": "dumb"}, cwd="/", stdin=other, stdout=other, stderr=other,
    )  # fmt: skip
    os.close(other)
    os.write(main, b"USE shop; SELECT t FROM odd\nWHERE id = 2;\nSELECT nope;\nexit\n")
    shown = b""
    while piece := _piece(main):
        shown += piece
    assert task.wait() == 0
    assert rb"| \u001b[31m" in shown
    assert b"\x1b[31m" not in shown
    assert b"ERROR 1054" in shown
    assert b"nothing of it is left" in shown
    assert not saved.left()


def _piece(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # its other side is closed
        return b""
