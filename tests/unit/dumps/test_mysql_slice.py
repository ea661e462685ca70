"""Statements of one database are taken out of a dump, and code is not taken for rows."""

import io

from hypothesis import given
from hypothesis import strategies as st

from tasks.sources.dumps.host.mysql_slice import statements

NAMES = st.text("ab`;\\'é \t", min_size=1, max_size=4)
VALUES = st.text("ab`;\\'é\n", max_size=6)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


@given(NAMES, NAMES, st.lists(st.tuples(NAMES, st.lists(VALUES, min_size=1, max_size=3)), max_size=4))
def test_statements_of_one_database_come_unchanged(
    database: str, other: str, tables: list[tuple[str, list[str]]]
) -> None:
    text, expected = "-- a comment;\nCREATE TABLE `before` (\n  `id` int\n);\n", []
    for name in (other, database):
        text += f"CREATE DATABASE {quoted(name)};\n\nUSE {quoted(name)};\n"
        for table, rows in tables:
            made = [
                f"CREATE TABLE {quoted(table)} (\n  `id` int COMMENT 'a;b'\n) ENGINE=InnoDB;\n",
                f"INSERT INTO {quoted(table)} VALUES\n" + ",\n".join(f"({literal(row)})" for row in rows) + ";\n",
            ]
            text += f"DROP TABLE IF EXISTS {quoted(table)};\nLOCK TABLES {quoted(table)} WRITE;\n{''.join(made)}"
            text += f"UNLOCK TABLES;\nDELIMITER ;;\nCREATE TRIGGER x BEGIN\nINSERT INTO {quoted(table)} VALUES (1);\nEND ;;\n"
            text += "DELIMITER ;\n"
            expected += made if name == database else []
    found = list(statements(io.BytesIO(text.encode()), database.encode()))
    assert [each.decode() for each in found] == expected
