"""Databases of MariaDB are saved under load by mariadb-dump, restored into a private server in a drill, and put back."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dumps.conftest import MakeShop
from tests.integration.dumps.mysql import PASSWORD, Server, running
from tests.integration.fleet.support import Operator

SHOP = """
CREATE DATABASE shop; CREATE DATABASE `odd_na%me`; CREATE DATABASE empty;
USE shop;
CREATE TABLE orders (id INT PRIMARY KEY, debit BIGINT, credit BIGINT, note TEXT, raw BLOB);
INSERT INTO orders SELECT seq, 0, 0, REPEAT('é;\\n\\'', 50), UNHEX('00FF0A3B') FROM seq_1_to_2000;
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what TEXT);
CREATE USER app@'%'; GRANT SELECT, INSERT, EXECUTE ON *.* TO app@'%';
CREATE DEFINER=app@'%' VIEW totals AS SELECT SUM(debit) AS debit, SUM(credit) AS credit FROM orders;
DELIMITER //
CREATE DEFINER=app@'%' PROCEDURE booked() BEGIN INSERT INTO log (what) VALUES ('a'); SELECT 1; END//
CREATE DEFINER=app@'%' FUNCTION answer() RETURNS INT DETERMINISTIC RETURN 42//
CREATE TRIGGER noted AFTER DELETE ON orders FOR EACH ROW BEGIN
INSERT INTO `log` VALUES (NULL, 'gone');
END//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM log//
DELIMITER ;
CREATE TABLE `odd_na%me`.`a ``table``` (id INT PRIMARY KEY, at TIMESTAMP(3) NULL);
INSERT INTO `odd_na%me`.`a ``table``` VALUES (1, '2026-03-29 02:30:00.123');
"""
BALANCED = "SELECT debit = credit AND shop.answer() = 42 FROM shop.totals"
DIGEST = "CHECKSUM TABLE shop.orders, shop.log, `odd_na%me`.`a ``table```"


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    running_server.sql(SHOP)
    yield running_server
    own = "('mysql', 'sys', 'information_schema', 'performance_schema')"
    for name in running_server.sql(
        f"SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN {own}"
    ).splitlines():
        running_server.sql(f"DROP DATABASE `{name}`")
    running_server.sql("DROP USER app@'%'")


@pytest.fixture
def shop(make_shop: MakeShop, server: Server, tmp_path: Path) -> Operator:
    (tmp_path / "dumper").write_text(PASSWORD)
    login = {"socket": str(server.socket), "user": "dumper", "password": {"file": str(tmp_path / "dumper")}}
    return make_shop(
        orders={"mariadb": {**login, "databases": ["shop"], "verify": [BALANCED]}},
        server={"mysql": login},
    )


def test_databases_under_load_are_saved_proven_and_restored(shop: Operator, server: Server, tmp_path: Path) -> None:
    assert "server: MariaDB or MySQL begins to write" in shop.done("app.check", "--app", "shop")
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            server.sql(
                f"BEGIN; UPDATE shop.orders SET debit = {number} WHERE id = 1 + {number} % 2000;"
                f"UPDATE shop.orders SET credit = {number} WHERE id = 2000 - {number} % 2000; COMMIT;"
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        shop.done("backup", "--app", "shop", "--source", "orders")
    finally:
        ended.set()
        writer.join()
    shop.done("backup", "--app", "shop", "--source", "server")
    before = server.sql(DIGEST)
    said = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "1 query answered" in said
    assert "judged behind walls" in said
    assert shop.report()["shop", "orders"]["proven"]
    assert shop.report()["shop", "server"]["proven"]
    end = shop.inv("restore", "--app", "shop", "--source", "server", "--yes")
    assert (end.returncode, "has these databases already: odd_na%me shop" in end.stdout) == (4, True), end.stdout
    server.sql("DROP DATABASE shop; DROP DATABASE `odd_na%me`; CREATE DATABASE shop")
    said = shop.done("restore", "--app", "shop", "--source", "server", "--yes")
    assert "back: empty (0 tables), odd_na%me (1 tables)" in said
    assert server.sql(DIGEST) == before
    assert server.sql("SELECT shop.answer(), COUNT(*) FROM information_schema.events") == "42\t1"
    server.sql("DELETE FROM shop.orders WHERE id = 1")
    assert server.sql("SELECT COUNT(*) FROM shop.log") == "1"

    (archive,) = (name for name in shop.archives("shop") if "-orders-" in name)
    server.sql("DROP DATABASE shop")
    (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={server.socket}\nuser=root\n")
    lines = ['borg extract --stdout "::$ARCHIVE" > shop.sql', "mariadb --binary-mode < shop.sql"]
    documented = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    assert all(f"    {line}\n" in documented for line in lines)
    subprocess.run(
        ["bash", "-ec", "\n".join(lines)], cwd=tmp_path, check=True, capture_output=True,
        env=stock(shop, tmp_path, ARCHIVE=archive, HOME=str(tmp_path)),
    )  # fmt: skip
    assert server.sql("SELECT COUNT(*), SUM(debit) = SUM(credit) FROM shop.orders") == "2000\t1"


def test_a_database_or_table_comes_back_beside_the_live_one(shop: Operator, server: Server) -> None:
    shop.done("backup", "--app", "shop", "--source", "server")
    back = ("restore", "--app", "shop", "--source", "server")
    server.sql("UPDATE shop.orders SET note = 'changed' WHERE id = 7; DELETE FROM shop.orders WHERE id > 1990")
    said = shop.done(*back, "--database", "shop", "--into", "copy")
    assert "shop is in the database copy: 2 tables, 2,000 rows, counted" in said
    assert server.sql("SELECT COUNT(*), HEX(raw) FROM copy.orders WHERE id = 1995") == "1\t00FF0A3B"
    assert "10 rows only in the backup" in shop.done(*back, "--table", "shop.orders", "--diff")
    shop.done(*back, "--table", "shop.orders", "--missing-rows", "--yes")
    assert server.sql("SELECT COUNT(*), SUM(note = 'changed') FROM shop.orders") == "2000\t1"
    shop.done(*back, "--table", "odd_na%me.`a ``table```")
    assert server.sql("SELECT at FROM `odd_na%me_restored`.`a ``table```") == "2026-03-29 02:30:00.123"
    for part, why in (("shop.log_2", "the dump has no table of shop.log_2"), ("shop.totals", "has no table")):
        end = shop.inv(*back, "--table", part, "--into", "none")
        assert (end.returncode, why in end.stdout, "none was dropped again" in end.stdout) == (4, True, True), (
            end.stdout
        )
    assert server.sql("SHOW DATABASES LIKE 'none'") == ""


def test_what_the_account_may_not_see_makes_a_dump_incomplete(shop: Operator, server: Server) -> None:
    """mariadb-dump leaves it out and ends with 0."""
    server.sql("CREATE USER reader@localhost; GRANT SELECT, SHOW VIEW, EVENT ON shop.* TO reader@localhost")

    def reads(app: dict[str, Any]) -> None:
        way = {"socket": str(server.socket), "user": "reader"}
        app["dumps"] = {"orders": {"mysql": {**way, "databases": ["shop"]}}, "server": {"mysql": way}}

    shop.change("apps/shop.yml", reads)
    try:
        triggers = "GRANT TRIGGER ON `shop`.* TO `reader`@`localhost`"
        checked = shop.inv("app.check", "--app", "shop")
        assert (checked.returncode, triggers in checked.stdout) == (4, True), checked.stdout
        end = shop.inv("backup", "--app", "shop")
        assert (end.returncode, triggers in end.stdout, "GRANT SHOW DATABASES" in end.stdout) == (4, True, True), (
            end.stdout
        )
        row = shop.report()["shop", "orders"]
        assert (row["status"], row["incomplete"]["count"]) == ("incomplete", 2)
        server.sql("GRANT TRIGGER ON shop.* TO reader@localhost; GRANT SELECT ON mysql.proc TO reader@localhost")
        shop.done("backup", "--app", "shop", "--source", "orders")
        assert shop.report()["shop", "orders"]["status"] == "ok"
    finally:
        server.sql("DROP USER reader@localhost")


def test_a_hostile_dump_reaches_nothing_beyond_the_drill(shop: Operator, server: Server, tmp_path: Path) -> None:
    """Commands of the client, files, other accounts' rights: none of them work, in a drill and in a restore."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "seen").write_text("1\n")
    (outside / "more.sql").write_text("CREATE TABLE shop.sourced (id INT);\n")
    harmless = "".join(
        f"{line}\n"
        for line in (
            f"system touch {outside}/made",
            f"tee {outside}/teed",
            f"source {outside}/more.sql",
            f"\\. {outside}/more.sql",
            f"\\T {outside}/teed-too",
            f"\\! touch {outside}/made-too",
        )
    )
    privately = " ".join(
        f"EXECUTE IMMEDIATE {sql};"
        for sql in (
            f"\"SELECT 1 INTO OUTFILE '{outside}/out'\"",
            f"\"LOAD DATA INFILE '{outside}/seen' INTO TABLE shop.t\"",
            '"GRANT ALL PRIVILEGES ON *.* TO CURRENT_USER()"',
            '"SET GLOBAL local_infile = 1"',
            '"DELETE FROM mysql.global_priv"',
        )
    )
    handler = "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END"
    attempts = {
        "words": (f"{harmless};\n", "Unknown command"),
        "local": (f"LOAD DATA LOCAL INFILE '{outside}/seen' INTO TABLE shop.t;\n", "does not take it"),
        "rights": (
            f"DELIMITER ;;\nCREATE PROCEDURE p() BEGIN {handler}; {privately} END;;\nDELIMITER ;\nCALL p();\n",
            "restored 1 table with 0 rows, 1 query answered",
        ),
    }
    head = "-- cloudbackup databases: 73686f70\nCREATE DATABASE shop;\nUSE shop;\nCREATE TABLE t (id INT);\n"
    end = "-- Dump completed\n-- cloudbackup changed: \n"
    server.sql("DROP DATABASE shop")

    def asks(app: dict[str, Any]) -> None:
        app["dumps"]["server"]["mysql"]["verify"] = ["SELECT COUNT(*) > 1 FROM mysql.global_priv"]

    shop.change("apps/shop.yml", asks)
    for number, (name, (text, said)) in enumerate(attempts.items()):
        archive = f"shop-server-2026-01-01T00-00-{number:02}"
        subprocess.run(
            ["borg", "create", "--stdin-name", "server.dump", f"::{archive}", "-"],
            input=head + text + end, text=True, env=stock(shop, tmp_path), check=True, capture_output=True,
        )  # fmt: skip
        done = shop.inv("verify", "--app", "shop", "--archive", archive, "--scratch", str(tmp_path))
        assert (name, said in done.stdout) == (name, True), done.stdout
    for number in range(2):
        words = ("restore", "--app", "shop", "--archive", f"shop-server-2026-01-01T00-00-{number:02}", "--yes")
        if number == 0:
            refused = shop.inv(*words)
            assert (refused.returncode, "would run on the live server" in refused.stdout) == (5, True), refused.stdout
            assert server.sql("SHOW DATABASES LIKE 'shop'") == ""
        tried = shop.inv(*words, "--trust-archive")
        assert tried.returncode == 4, tried.stdout
        server.sql("DROP DATABASE IF EXISTS shop")
    assert sorted(each.name for each in outside.iterdir()) == ["more.sql", "seen"]
    assert server.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'sourced'") == "0"


def stock(shop: Operator, tmp_path: Path, **more: str) -> dict[str, str]:
    """Return the environment in which borg alone reads the repository."""
    return {
        **shop.environment(),
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
        **more,
    }


def test_what_is_cut_or_partial_leaves_no_archive_and_what_lacks_a_table_is_not_proven(
    shop: Operator, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.done("backup", "--app", "shop", "--source", "orders")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mariadb-dump").write_text(
        '#!/bin/bash\ncase "$*" in *--databases*) ;; *) exec /usr/bin/mariadb-dump "$@" ;; esac\n'
        f'/usr/bin/mariadb-dump "$@" | bash {tools}/cut\n'
    )
    (tools / "mariadb-dump").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    for cut in ("head -c 1", "head -c 200000", "head -n -1", "head -c -1"):
        (tools / "cut").write_text(cut)
        end = shop.inv("backup", "--app", "shop", "--source", "orders")
        assert (end.returncode, "lacks its last line" in end.stdout) == (4, True), end.stdout
    assert len(shop.archives("shop")) == 1
    (tools / "cut").write_text("sed '/^CREATE TABLE `log`/,/^)/d; /`log`/d'")
    shop.done("backup", "--app", "shop", "--source", "orders")
    end = shop.inv("verify", "--app", "shop", "--source", "orders", "--scratch", str(tmp_path))
    assert (end.returncode, "are not in the dump: shop.log" in end.stdout) == (4, True), end.stdout
    options = tmp_path / "options.cnf"
    options.write_text("[mariadb-dump]\nignore_table=shop.log\n")

    def change(app: dict[str, Any]) -> None:
        app["dumps"]["orders"]["mariadb"]["defaults_file"] = str(options)

    shop.change("apps/shop.yml", change)
    end = shop.inv("backup", "--app", "shop", "--source", "orders")
    assert (end.returncode, "leave something out: --ignore-table" in end.stdout) == (4, True), end.stdout
    assert len(shop.archives("shop")) == 2
