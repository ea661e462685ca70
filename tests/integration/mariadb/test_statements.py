"""Statements in binary logs that lean on more than data: temporary tables, roles, and what a hostile log would run."""

import base64
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb.host import binlog_format
from tests.integration.fleet.support import Operator, eventually
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded
from tests.integration.mariadb.session import Session

BOSS = "CREATE USER boss@localhost IDENTIFIED BY 'x'; GRANT ALL ON *.* TO boss@localhost WITH GRANT OPTION;"


@pytest.fixture
def shop_of(filled: Path, tmp_path: Path) -> Iterator[tuple[Running, Operator, Path]]:
    running = make(Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")), filled, binlog_format="STATEMENT")
    target = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"), "new")
    target.parent.chmod(0o755)
    try:
        mariadb.query(running.server, f"{BOSS} CREATE TABLE shop.news (a VARCHAR(200))")
        yield running, onboarded(running, tmp_path, binlog=True), target
    finally:
        running.remove()
        shutil.rmtree(target.parent)


def archived(operator: Operator) -> str:
    """Save the binary logs, and return a moment after all that was written."""
    second = int(time.time()) + 1
    assert eventually(lambda: time.time() >= second)
    operator.done("mariadb.binlog", "--app", "replica")
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def restore(at: str, target: Path, *more: str) -> tuple[str, ...]:
    return ("restore", "--app", "replica", "--at", at, "--target", str(target), *more)


def test_a_temporary_table_from_before_the_backup_is_named_with_its_remedy_which_works(
    shop_of: tuple[Running, Operator, Path],
) -> None:
    running, operator, target = shop_of
    operator.done("mariadb.backup", "--app", "replica")
    with Session(running) as session:
        session.run("CREATE TEMPORARY TABLE shop.scratch (a INT); INSERT INTO shop.scratch VALUES (7)")
        second = time.time() + 1
        assert eventually(lambda: time.time() >= second)
        operator.done("mariadb.backup", "--app", "replica")
        session.run("INSERT INTO shop.news SELECT a FROM shop.scratch")
        gtid = mariadb.query(running.server, "SELECT @@gtid_binlog_pos")[0][0]
        at = archived(operator)
    older, _ = operator.archives("replica")[:2]
    end = operator.inv(*restore(at, target))
    said = end.stdout + end.stderr
    assert end.returncode == 4, said
    assert f"the server refuses the transaction {gtid} (binlog.00000" in said
    assert f"of {datetime.now(UTC):%Y-%m-%d}" in said
    assert "temporary table before the backup began" in said
    assert f"--archive {older}" in said
    assert not target.exists()
    operator.done(*restore(at, target, "--archive", older))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT a FROM shop.news") == [["7"]]


def test_a_role_is_its_makers_also_after_a_replay(shop_of: tuple[Running, Operator, Path]) -> None:
    running, operator, target = shop_of
    operator.done("mariadb.backup", "--app", "replica")
    mariadb.query(running.server, "CREATE ROLE plain; CREATE TEMPORARY TABLE shop.t (a INT)")
    with Session(running, "boss", "x") as session:
        session.run("/* ours */ create role accounting; CREATE ROLE `other one` WITH ADMIN root@localhost")
        session.run("GRANT accounting TO root@localhost; INSERT INTO shop.news VALUES ('after')")
        session.run("FLUSH BINARY LOGS; CREATE ROLE last")
    roles = "SELECT User, Host, Role, Admin_option FROM mysql.roles_mapping ORDER BY 3, 1"
    expected = mariadb.query(running.server, roles)
    assert ["boss", "localhost", "accounting", "Y"] in expected
    operator.done(*restore(archived(operator), target))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, roles) == expected
        assert mariadb.query(copy, "SELECT a FROM shop.news") == [["after"]]


def forge(file: Path, old: bytes, new: bytes) -> None:
    """Put another statement into a binary log, with the checksum that it then has."""
    raw = file.read_bytes()
    begin, place = 4, raw.index(old)
    while begin + (length := binlog_format.HEADER.unpack_from(raw, begin)[3]) <= place:
        begin += length
    event = raw[begin : begin + length - 4].replace(old, new.ljust(len(old)))
    file.write_bytes(raw[:begin] + event + zlib.crc32(event).to_bytes(4, "little") + raw[begin + length :])


def test_a_hostile_log_writes_and_reads_nothing_outside(
    shop_of: tuple[Running, Operator, Path], tmp_path: Path
) -> None:
    """Whoever wrote the binary logs may have put commands of the client and its files into them."""
    running, operator, target = shop_of
    operator.done("mariadb.backup", "--app", "replica")
    open_folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    open_folder.chmod(0o777)
    try:
        secret, orders = open_folder / "secret", open_folder / "orders.sql"
        secret.write_text("the operator's own")
        secret.chmod(0o644)
        orders.write_text("INSERT INTO shop.news VALUES ('sourced');\n")
        orders.chmod(0o644)
        made = open_folder / "made"
        text = f"x\n\\! touch {made}\nsource {orders}\n\\. {orders}\nsystem touch {made}\n/*!*/;\n\\! touch {made}\n"
        with Session(running) as session:
            session.run(f"INSERT INTO shop.news VALUES (FROM_BASE64('{base64.b64encode(text.encode()).decode()}'))")
        literal = text.replace("\\", "\\\\")
        mariadb.query(running.server, f"INSERT INTO shop.news VALUES ('{literal}')")
        mine = tmp_path / "mine"
        mine.write_text("loaded\n")
        mariadb.query(running.server, f"LOAD DATA LOCAL INFILE '{mine}' INTO TABLE shop.news")
        at = archived(operator)
        operator.done(*restore(at, target))
        with mariadb.serving(target) as copy:
            rows = [row[0] for row in mariadb.query(copy, "SELECT a FROM shop.news")]
        assert "sourced" not in rows
        assert "loaded" in rows
        assert len(rows) == 3
        shutil.rmtree(target)

        log = mariadb.query(running.server, "SHOW MASTER STATUS")[0][0]
        harmless = f"INSERT INTO shop.news VALUES ('{'x' * 150}')"
        mariadb.query(running.server, f"{harmless}; FLUSH BINARY LOGS")
        evil = f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE shop.news"
        forge(running.server.datadir / log, harmless.encode(), evil.encode())
        end = operator.inv(*restore(archived(operator), target))
        assert end.returncode == 4
        assert not target.exists()
        assert f"'{secret}'" in end.stdout  # the client looked for it where it is not
        assert sorted(path.name for path in open_folder.iterdir()) == ["orders.sql", "secret"]
    finally:
        shutil.rmtree(open_folder)
