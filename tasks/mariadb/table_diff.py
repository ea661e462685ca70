"""How a live table differs from its restored copy on the same server, by primary key; rows that are gone, put back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.answers import whole
from tasks.errors import RefusedError
from tasks.mariadb.host.digest import columns_query, name, text
from tasks.units import many

Ask = Callable[[str], list[str]]


@dataclass(frozen=True)
class Difference:
    """The number of rows that are only in the backup, only in the live table, and in both but not alike."""

    gone: int
    added: int
    changed: int

    @property
    def shown(self) -> str:
        """Describe it."""
        return (
            f"{many(self.gone, 'row')} only in the backup, {many(self.added, 'row')} only in the live table,"
            f" {many(self.changed, 'row')} in both but not alike"
        )


class TableDiff:
    """A live table and its copy, with the same columns and primary key. `ask` runs statements on their server."""

    def __init__(self, ask: Ask, database: str, table: str, copy: str) -> None:
        self._ask = ask
        self.live, self.copy = name(database, table), name(copy, table)
        self._columns = self._names(columns_query(database, table))
        self._key = self._names(_key_query(database, table))
        if not self._columns:
            raise RefusedError(f"the live server has no table {database}.{table}", "restore it beside: --table alone")
        if not self._key:
            raise RefusedError(f"{database}.{table} has no primary key, so nobody can tell which row is which")
        copied = self._names(columns_query(copy, table)), self._names(_key_query(copy, table))
        if (sorted(self._columns), self._key) != (sorted(copied[0]), copied[1]):
            raise RefusedError(
                f"{database}.{table} has other columns, or another primary key, than in the backup",
                "restore it beside (--table alone) and compare by hand",
            )

    def difference(self) -> Difference:
        """Count. Raises DatabaseError."""
        unlike = " OR ".join(f"NOT (MD5(l.{name(each)}) <=> MD5(b.{name(each)}))" for each in self._columns)
        return Difference(
            self._count(f"{self.copy} AS b WHERE NOT EXISTS ({self._match(self.live, 'l')})"),
            self._count(f"{self.live} AS l WHERE NOT EXISTS ({self._match(self.copy, 'b')})"),
            self._count(f"{self.live} AS l JOIN {self.copy} AS b ON {self._same()} WHERE {unlike}"),
        )

    def put_back(self) -> int:
        """Insert the rows that are only in the copy, all or none; return their number. Raises DatabaseError."""
        columns = ", ".join(map(name, self._columns))
        rows = f"SELECT {columns} FROM {self.copy} AS b WHERE NOT EXISTS ({self._match(self.live, 'l')})"  # noqa: S608
        done = self._ask(
            "SET sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00';\n"
            f"INSERT INTO {self.live} ({columns}) {rows};\nSELECT ROW_COUNT();"
        )
        return whole(done[-1]) or 0

    def _match(self, table: str, alias: str) -> str:
        return f"SELECT 1 FROM {table} AS {alias} WHERE {self._same()}"  # noqa: S608 (names quoted)

    def _same(self) -> str:
        return " AND ".join(f"l.{name(each)} = b.{name(each)}" for each in self._key)

    def _count(self, what: str) -> int:
        return whole(self._ask(f"SET time_zone = '+00:00';\nSELECT COUNT(*) FROM {what};")[0]) or 0

    def _names(self, query: str) -> Sequence[str]:
        return [bytes.fromhex(line).decode() for line in self._ask(query)]


def _key_query(database: str, table: str) -> str:
    return (
        "SELECT HEX(COLUMN_NAME) FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY'"  # noqa: S608
        f" AND TABLE_SCHEMA = {text(database)} AND TABLE_NAME = {text(table)} ORDER BY SEQ_IN_INDEX"
    )
