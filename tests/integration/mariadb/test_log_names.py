"""Binary logs of an odd name, whose statements are compressed: what is saved is also restored."""

import shutil
import tempfile
from pathlib import Path

from lab import mariadb
from tests.integration.mariadb.conftest import make
from tests.integration.mariadb.onboarded import onboarded
from tests.integration.mariadb.session import Session
from tests.integration.mariadb.test_statements import BOSS, archived, restore

COMPRESSED = "SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10; FLUSH BINARY LOGS;"
STATEMENTS = (
    "CREATE ROLE /* long enough to be worth it */ accounting",
    f"INSERT INTO shop.news VALUES ('{'x' * 150}')",
    "XA START 'one'; INSERT INTO shop.news VALUES ('xa'); XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one'",
    "XA START 'two'; INSERT INTO shop.news VALUES ('no'); XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two'",
    "CREATE TABLE shop.copied AS SELECT * FROM shop.news",
)


def test_what_a_server_with_odd_names_and_compressed_events_wrote_comes_back(filled: Path, tmp_path: Path) -> None:
    running = make(Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp")), filled, log_bin="shop bin.ä")
    target = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"), "new")
    target.parent.chmod(0o755)
    try:
        mariadb.query(running.server, f"{BOSS} CREATE TABLE shop.news (a VARCHAR(200)); {COMPRESSED}")
        assert mariadb.query(running.server, "SHOW BINARY LOGS")[0][0] == "shop bin.000001"  # without its ending
        operator = onboarded(running, tmp_path, binlog=True)
        operator.done("mariadb.backup", "--app", "replica")
        with Session(running, "boss", "x") as session:
            for statement in STATEMENTS:
                session.run(statement)
        roles = "SELECT User, Host, Role, Admin_option FROM mysql.roles_mapping ORDER BY 3, 1"
        rows = "SELECT a FROM shop.news UNION ALL SELECT a FROM shop.copied"
        expected = [mariadb.query(running.server, each) for each in (roles, rows)]
        assert ["boss", "localhost", "accounting", "Y"] in expected[0]
        operator.done(*restore(archived(operator), target))
        with mariadb.serving(target) as copy:
            assert [mariadb.query(copy, each) for each in (roles, rows)] == expected
    finally:
        running.remove()
        shutil.rmtree(target.parent)
