"""What of a dump of untrusted data is let through to a live server."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mariadb.host.vetted_dump import Filter, Refused, quoted, statements

TABLE = b"CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)


def passed(dump: bytes, only: str | None = None) -> bytes:
    vetted = Filter("copy", only)
    return b"".join(map(vetted.passed, statements(io.BytesIO(dump))))


def test_tables_and_rows_go_to_the_named_database() -> None:
    dump = (
        b"/*M!999999\\- enable the sandbox mode */ \n"
        + TABLE
        + b";\nINSERT INTO `t` VALUES\n(1,'a\\';x',0xFF,NULL,-1.5e-3),\n(2,'','',NULL,0);\n"
    )
    assert passed(dump).startswith(b"CREATE TABLE `copy`.`t` (\n")
    assert passed(dump).endswith(b"INSERT INTO `copy`.`t` VALUES\n(1,'a\\';x',0xFF,NULL,-1.5e-3),\n(2,'','',NULL,0);\n")


def test_foreign_keys_are_left_out_wherever_they_point() -> None:
    key = b",\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `live`.`x` (`id`) ON DELETE CASCADE\n)"
    assert passed(TABLE.replace(b"\n)", key) + b";\n").count(b"live") == 0


@pytest.mark.parametrize(
    "text",
    [
        b"\\! touch /tmp/x\n;\n",
        b"SOURCE /etc/passwd;\n",
        b"DROP TABLE `live`.`t`;\n",
        b"GRANT ALL ON *.* TO x;\n",
        b"/*!50003 CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1 */;\n",
        b"CREATE TABLE `live`.`t` (`a` int(11));\n",
        b"INSERT INTO `t` VALUES (1);\n",
        b"CREATE OR REPLACE TABLE `t` (`a` int(11));\n",
    ],
)
def test_other_statements_are_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        passed(text)


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO `t` VALUES (1),(SLEEP(9));\n",
        b"INSERT INTO `t` VALUES ((SELECT 1));\n",
        b"INSERT INTO `t` VALUES (1) ON DUPLICATE KEY UPDATE `id`=2;\n",
        b"INSERT INTO `t` VALUES ('a'';\nDROP TABLE x;\n",
        b"INSERT INTO `t` VALUES (1), (2);\n",
        b"INSERT INTO `t` VALUES (/*!1*/);\n",
        b"INSERT INTO `live`.`t` VALUES (1);\n",
        b"INSERT INTO `t` SELECT 1;\n",
        b"INSERT INTO `t` VALUES (1)",
        TABLE + b";\n",
    ],
)
def test_rows_of_another_form_are_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        passed(TABLE + b";\n" + text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"InnoDB", b"CONNECT TABLE_TYPE=CSV FILE_NAME='/etc/passwd'"),
        (b"InnoDB", b"MRG_MyISAM UNION=(`mysql`.`global_priv`)"),
        (b"InnoDB", b"FEDERATED CONNECTION='mysql://u@h/d/t'"),
        (b"=utf8mb4", b"=utf8mb4 DATA DIRECTORY='/tmp'"),
        (b"=utf8mb4", b"=utf8mb4 SELECT 1"),
        (b"NOT NULL", b"DEFAULT (LOAD_FILE('/etc/passwd'))"),
        (b"NOT NULL", b"DEFAULT (`LOAD_FILE`('/etc/passwd'))"),
        (b"NOT NULL", b"DEFAULT (`d`.`f`())"),
        (b"NOT NULL", b"DEFAULT (@@version)"),
        (b"NOT NULL", b"NOT NULL /*!99 x */"),
        (b"NOT NULL", b"NOT NULL -- x\n"),
        (b"NOT NULL", b"NOT NULL # x\n"),
        (b"=utf8mb4", b"=utf8mb4; DROP TABLE `x`"),
    ],
)
def test_definitions_that_reach_beyond_their_table_are_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(Refused):
        passed(TABLE.replace(old, new) + b";\n")


def test_another_table_than_the_one_asked_for_is_refused() -> None:
    assert passed(TABLE + b";\n", "t")
    with pytest.raises(Refused):
        passed(TABLE + b";\n", "u")


@given(NAMES, st.binary())
def test_any_name_and_any_text_pass_as_they_are(name: str, data: bytes) -> None:
    escaped = data.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\n", b"\\n")
    table = TABLE.replace(b"`t`", quoted(name))
    rows = b" VALUES\n('" + escaped + b"')"
    found = (
        passed(table + b";\nINSERT INTO " + quoted(name) + rows + b";\n") if b"\n" not in quoted(name) else b"`copy`"
    )
    assert found.count(b"`copy`.") >= (2 if b"\n" not in quoted(name) else 0)
    assert b"\n" in quoted(name) or found.endswith(rows + b";\n")
