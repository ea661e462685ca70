"""Backups beside writers and DDL, of tables of every kind, and beside a lock: what comes back holds together."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import database, mariadb
from lab import programs as lab_programs
from tasks.mariadb import drill, dump, errors, server, unpack
from tasks.mariadb.drill import Drilled, DrillOptions
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.conftest import Running, make

ACCOUNTS = 500
EACH = 1000  # what an account holds at first
SPAN = f"FLOOR(RAND() * {ACCOUNTS})"
BANK = f"""
CREATE DATABASE bank; USE bank;
CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL) SELECT seq - 1 AS id, {EACH} AS balance
  FROM seq_1_to_{ACCOUNTS};
CREATE TABLE moves (id INT PRIMARY KEY AUTO_INCREMENT, giver INT NOT NULL, taker INT NOT NULL, amount INT NOT NULL,
  KEY (giver), KEY (taker));
CREATE TABLE stop (id INT);
DELIMITER //
CREATE PROCEDURE work() BEGIN
  DECLARE g, t, a INT;
  WHILE NOT EXISTS (SELECT * FROM stop) DO
    SET g = {SPAN}, t = {SPAN}, a = FLOOR(RAND() * 100);
    START TRANSACTION;
    UPDATE accounts SET balance = balance + IF(id = g, -a, 0) + IF(id = t, a, 0) WHERE id IN (g, t) ORDER BY id;
    INSERT INTO moves (giver, taker, amount) VALUES (g, t, a);
    COMMIT;
    DO SLEEP(0.002);
  END WHILE;
END//
CREATE PROCEDURE change_tables() BEGIN
  DECLARE n INT DEFAULT 0;
  WHILE NOT EXISTS (SELECT * FROM stop) DO
    SET n = n + 1;
    EXECUTE IMMEDIATE CONCAT('CREATE TABLE new', n, ' (id INT PRIMARY KEY) AS SELECT seq AS id FROM seq_1_to_500');
    EXECUTE IMMEDIATE CONCAT('ALTER TABLE new', n, ' ADD COLUMN more CHAR(20) DEFAULT ''x'', ALGORITHM=COPY');
    EXECUTE IMMEDIATE CONCAT('RENAME TABLE new', n, ' TO old', n);
    EXECUTE IMMEDIATE CONCAT('ALTER TABLE old', n, ' ADD KEY (more)');
    IF n MOD 3 = 0 THEN EXECUTE IMMEDIATE CONCAT('TRUNCATE TABLE old', n); END IF;
    DO SLEEP(0.02);
    IF n > 20 THEN EXECUTE IMMEDIATE CONCAT('DROP TABLE old', n - 20); END IF;
  END WHILE;
END//
"""


def rows(running: Running, query: str, name: str = "") -> list[list[str]]:
    return mariadb.query(running.server, query, name)


def stream(running: Running, **changes: object) -> Stream:
    access = running.access(**changes)
    return dump.dump(access, server.ask(LocalHost(), access).tools, dump.DumpOptions(16384))


def saved(running: Running, file: Path, **changes: object) -> Stream:
    content = stream(running, **changes)
    made = LocalHost().run(Script(f"({content.body}) | tar -xBOf - > {quote((str(file),))}", content.environment))
    assert made.ok, made.error_text
    return Stream(quote(("cat", str(file))))


def drilled(content: Stream, *verify: str) -> Drilled:
    return drill.run(LocalHost(), content, DrillOptions(1000, verify))


@contextmanager
def sessions(running: Running, *statements: str) -> Iterator[None]:
    """Clients that run statements meanwhile; a fault of one is a fault of the test."""
    words = (lab_programs.find("mariadb"), f"--defaults-file={running.server.root_options}", "bank", "-e")
    clients = [subprocess.Popen((*words, each), stderr=subprocess.PIPE, text=True) for each in statements]
    try:
        yield
    finally:
        rows(running, "INSERT INTO stop VALUES (1)", "bank")
        said = [client.communicate(timeout=60)[1] for client in clients]
    assert said == [""] * len(clients)


def test_a_backup_beside_writers_and_ddl_is_a_moment_of_the_server(own_shop: Running, tmp_path: Path) -> None:
    rows(own_shop, BANK)
    with sessions(own_shop, "CALL work()", "CALL work()", "CALL change_tables()"):
        while int(rows(own_shop, "SELECT COUNT(*) FROM moves", "bank")[0][0]) < 200:
            time.sleep(0.05)
        before = rows(own_shop, "SELECT COUNT(*) FROM moves", "bank")[0][0]
        content = saved(own_shop, tmp_path / "backup")
        after = rows(own_shop, "SELECT COUNT(*) FROM moves", "bank")[0][0]
    assert int(after) > int(before)
    net = "(SELECT COALESCE(SUM(amount), 0) FROM bank.moves WHERE {} = a.id)"
    drilled(
        content,
        f"SELECT SUM(balance) = {ACCOUNTS * EACH} FROM bank.accounts",
        f"SELECT COUNT(*) BETWEEN {before} AND {after} FROM bank.moves",
        f"SELECT COUNT(*) = 0 FROM bank.accounts a WHERE balance <> {EACH} - {net.format('giver')} + {net.format('taker')}",
        "SELECT COUNT(*) = 0 FROM bank.stop",
        "SELECT COUNT(*) > 0 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'bank' AND TABLE_NAME LIKE 'old%'",
    )


MANY = 300
ZOO = """
CREATE DATABASE `empty one`;
CREATE DATABASE `lägër & co`; USE `lägër & co`;
CREATE TABLE `größe x` (id INT PRIMARY KEY, `süß` VARCHAR(20), FULLTEXT KEY (`süß`)) AS SELECT seq AS id, 'ß€🙂' AS `süß`
  FROM seq_1_to_100;
CREATE TABLE pressed (id INT PRIMARY KEY, t TEXT) PAGE_COMPRESSED=1 AS SELECT seq AS id, REPEAT('x', 500) AS t
  FROM seq_1_to_1000;
CREATE TABLE row_pressed (id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED AS SELECT seq AS id FROM seq_1_to_100;
CREATE TABLE parts (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (50),
  PARTITION `p ü` VALUES LESS THAN MAXVALUE) AS SELECT seq AS id, seq AS v FROM seq_1_to_100;
CREATE TABLE far (id INT PRIMARY KEY) DATA DIRECTORY='{outside}' AS SELECT seq AS id FROM seq_1_to_100;
CREATE TABLE far_myisam (id INT PRIMARY KEY) ENGINE=MyISAM DATA DIRECTORY='{outside}' AS SELECT seq AS id
  FROM seq_1_to_100;
CREATE TABLE safe (id INT PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1 AS SELECT seq AS id FROM seq_1_to_100;
CREATE TABLE simple (id INT PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=0 AS SELECT seq AS id FROM seq_1_to_100;
CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM AS SELECT seq AS id FROM seq_1_to_100;
CREATE TABLE csv (id INT NOT NULL) ENGINE=CSV AS SELECT seq AS id FROM seq_1_to_10;
CREATE TABLE versions (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO versions VALUES (1); DELETE FROM versions;
CREATE SEQUENCE numbers; SELECT NEXTVAL(numbers);
CREATE VIEW seen AS SELECT COUNT(*) FROM old;
CREATE TRIGGER noted AFTER INSERT ON old FOR EACH ROW INSERT INTO simple VALUES (NEW.id + 1000);
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM simple;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN 2 * n;
CREATE DATABASE `a`; CREATE TABLE `a`.`b.c` (id INT PRIMARY KEY) AS SELECT 1 AS id;
CREATE DATABASE `a.b`; CREATE TABLE `a.b`.`c` (id INT PRIMARY KEY) AS SELECT 2 AS id;
CREATE ROLE reader; GRANT SELECT ON `a`.* TO reader;
CREATE USER 'zoë o''b'@'10.%' IDENTIFIED BY 'p'; GRANT reader TO 'zoë o''b'@'10.%'; GRANT UPDATE (id) ON `a`.`b.c` TO 'zoë o''b'@'10.%';
CREATE DATABASE many; USE many;
""" + "".join(f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT);\n" for number in range(MANY))
SEEN = (
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'many'",
    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1",
    "SHOW GRANTS FOR 'zoë o''b'@'10.%'",
    "SHOW GRANTS FOR reader",
    "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS",
    "SELECT `lägër & co`.twice(21), (SELECT id FROM `a`.`b.c`), (SELECT id FROM `a.b`.`c`)",
    "SELECT COUNT(*) FROM `lägër & co`.versions FOR SYSTEM_TIME ALL",
    "SELECT NEXT_NOT_CACHED_VALUE FROM `lägër & co`.numbers",
)


def test_tables_of_every_kind_come_back_and_pass_the_drill(own_shop: Running, tmp_path: Path) -> None:
    outside = own_shop.server.folder / "outside"
    outside.mkdir()
    shutil.chown(outside, own_shop.server.datadir.stat().st_uid)
    rows(own_shop, ZOO.format(outside=outside))
    content = saved(own_shop, tmp_path / "backup")
    done = drilled(content, f"SELECT COUNT(*) = {MANY} FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'many'")
    assert done.tables > MANY
    assert [remark for remark in done.remarks if "far" in remark and "elsewhere" in remark]
    before = database.fingerprint(own_shop.server, "lägër & co"), [rows(own_shop, query) for query in SEEN]
    unpack.to_directory(LocalHost(), content, str(own_shop.server.folder / "new"))
    new = own_shop.server.folder / "new"
    for path in (new, *new.rglob("*")):
        shutil.chown(path, own_shop.server.datadir.stat().st_uid)
    own_shop.stop()
    outside.rename(outside.with_name("away"))
    with mariadb.serving(new) as restored:
        after = database.fingerprint(restored, "lägër & co"), [mariadb.query(restored, query) for query in SEEN]
    own_shop.start()
    assert after == before


def test_too_low_a_limit_of_open_files_is_found_before_the_copy(own_shop: Running) -> None:
    access = own_shop.access(exec=["prlimit", "--nofile=64:64"])
    asked = server.ask(LocalHost(), access)
    faults = server.faults(asked)
    assert [what for what, _ in faults] == [
        f"mariadb-backup may open 64 files, and {asked.tables} tables want {asked.tables + 100}"
    ]


@pytest.mark.parametrize("page", [4096, 65536])
def test_other_page_sizes_pass_the_drill(page: int, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    running = make(folder, megabytes=1, innodb_page_size=page)
    try:
        done = drilled(saved(running, tmp_path / "backup"), "SELECT @@innodb_page_size = " + str(page))
        assert done.tables
    finally:
        running.remove()


def test_a_lock_that_is_held_for_long_ends_the_backup_after_the_set_wait(shop: Running, tmp_path: Path) -> None:
    words = (lab_programs.find("mariadb"), f"--defaults-file={shop.server.root_options}", "shop", "-e")
    holder = subprocess.Popen((*words, "LOCK TABLES words WRITE; SELECT SLEEP(300)"))
    try:
        while rows(shop, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(300)'") != [
            ["1"]
        ]:
            time.sleep(0.02)
        content = stream(shop, startup_wait_timeout="1s")
        made = LocalHost().run(Script(f"({content.body}) | tar -xBOf - > {tmp_path}/backup", content.environment))
    finally:
        holder.kill()
        holder.wait()
    assert not made.ok
    error = errors.error(made.error_text, "shop")
    assert error.what == "shop: another session holds a lock that the backup must wait for"
    assert error.transient
    assert "startup_wait_timeout" in error.remedy
