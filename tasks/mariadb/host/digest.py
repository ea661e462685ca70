"""Queries by which two servers' tables are compared: the same rows give the same digest, in any order.

Part of what is sent to a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# ruff: noqa: S608 (names are quoted, texts are hexadecimal digits)

if TYPE_CHECKING:
    from collections.abc import Sequence


def name(*parts: str) -> str:
    """Return a name of several parts as SQL."""
    return ".".join("`{}`".format(each.replace("`", "``")) for each in parts)


def text(value: str) -> str:
    """Return a text as SQL that needs no escapes."""
    return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"


def relations(database: str) -> str:
    """Return the query for the kind and name of all that a database holds, each line in hexadecimal digits."""
    return (
        "SELECT HEX(CONCAT(TABLE_TYPE, '\\n', TABLE_NAME)) FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {text(database)} ORDER BY TABLE_NAME"
    )


def columns_query(database: str, table: str) -> str:
    """Return the query for the names of a table's own columns, in hexadecimal digits: those that are not generated."""
    return (
        "SELECT HEX(COLUMN_NAME) FROM information_schema.COLUMNS WHERE GENERATION_EXPRESSION IS NULL"
        f" AND TABLE_SCHEMA = {text(database)} AND TABLE_NAME = {text(table)} ORDER BY ORDINAL_POSITION"
    )


def digest_query(database: str, table: str, columns: Sequence[str]) -> str:
    """Return the statements for the digest of a table: the number of rows and two sums over a hash of each."""
    values = ", ".join(f"IFNULL(MD5({name(each)}), '-')" for each in columns)
    hashed = f"SELECT MD5(CONCAT_WS(',', {values})) AS h FROM {name(database, table)}"
    number = "CAST(CONV({}(h, 15), 16, 10) AS UNSIGNED)"
    return (
        "SET time_zone = '+00:00';\n"
        f"SELECT COUNT(*), IFNULL(BIT_XOR({number.format('LEFT')}), 0), IFNULL(SUM({number.format('RIGHT')}), 0)"
        f" FROM ({hashed}) AS hashes;\n"
    )
