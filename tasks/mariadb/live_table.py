"""What hangs on a live table: its foreign keys, its triggers, the tables that reference it.

All of it belongs to the table as it is on the server, and is asked for there: nothing of it comes out of an archive.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.answers import whole
from tasks.errors import RefusedError
from tasks.mariadb.host.digest import name, text

# ruff: noqa: S608 (names are quoted, texts are hexadecimal digits)

Ask = Callable[[str], list[str]]
SWAPPED = "BASE TABLE"  # the one kind of table that can be swapped
NAMED = 5  # tables in a message
PLAIN = ("RESTRICT", "NO ACTION")  # the same in InnoDB, and what holds without a rule
OTHER = {
    "VIEW": "a view",
    "SEQUENCE": "a sequence",
    "SYSTEM VERSIONED": "a table with system versioning, whose history no dump has",
}


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of the table, as in information_schema; `columns` are those of both tables, in order."""

    name: str
    columns: tuple[tuple[str, str], ...]
    database: str
    table: str
    rules: tuple[str, str]  # ON UPDATE, ON DELETE

    def definition(self, own: str, references: str) -> str:
        """Return its definition by the name `own`, referencing that table; an empty name lets the server choose."""
        here, there = (", ".join(name(each[side]) for each in self.columns) for side in (0, 1))
        rules = zip(("ON UPDATE", "ON DELETE"), self.rules, strict=True)
        acting = "".join(f" {on} {rule}" for on, rule in rules if rule not in PLAIN)
        named = f"CONSTRAINT {name(own)} " if own else ""
        return f"{named}FOREIGN KEY ({here}) REFERENCES {references} ({there}){acting}"


@dataclass(frozen=True)
class Trigger:
    """A trigger of the table, with the settings that it was made with."""

    name: str
    when: str  # BEFORE INSERT, ...
    body: str
    definer: str
    sql_mode: str
    collation: str

    def creation(self, own: str, table: str) -> str:
        """Return the text that creates it by the name `own` on `table`."""
        user, _, host = self.definer.rpartition("@")
        definer = f"{name(user)}@{name(host)}" if host else name(self.definer)
        return f"CREATE DEFINER={definer} TRIGGER {own} {self.when} ON {table} FOR EACH ROW {self.body}"


@dataclass(frozen=True)
class LiveTable:
    """A live table; `kind` is empty if there is none. `columns` are names and types, `next_id` its AUTO_INCREMENT."""

    kind: str
    next_id: int
    columns: tuple[tuple[str, str], ...]
    keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]
    children: tuple[str, ...]  # the other tables that reference it, as database.table


def look(ask: Ask, database: str, table: str) -> LiveTable:
    """Ask for all of it. Raises DatabaseError, RefusedError if the account may not see all of it."""
    of = f"TABLE_SCHEMA = {text(database)} AND TABLE_NAME = {text(table)}"
    found = _rows(ask, "TABLE_TYPE, AUTO_INCREMENT", f"TABLES WHERE {of}")
    columns = _rows(ask, "COLUMN_NAME, COLUMN_TYPE", f"COLUMNS WHERE {of} ORDER BY ORDINAL_POSITION")
    kind, next_id = (found[0][0], whole(found[0][1]) or 0) if found else ("", 0)
    if kind == SWAPPED and not _sees_triggers(ask, database, of):
        raise RefusedError(
            f"the account cannot see whether {database}.{table} has triggers, which would be lost",
            f"run on the server: GRANT ALL PRIVILEGES ON {name(database)}.* TO the account in the inventory",
        )
    return LiveTable(
        kind,
        next_id,
        tuple((each[0], each[1]) for each in columns),
        _keys(ask, database, table),
        _triggers(ask, database, table),
        _children(ask, database, table) if kind else (),
    )


def refuse_unsafe(live: LiveTable, database: str, table: str) -> None:
    """Raise RefusedError if the table cannot be replaced as a whole."""
    shown = f"{database}.{table}"
    if live.kind not in ("", SWAPPED):
        what = OTHER.get(live.kind, live.kind.lower())
        raise RefusedError(f"{shown} is {what}", "restore it beside: --table alone")
    if live.children:
        named = ", ".join(live.children[:NAMED])
        more = f" and {len(live.children) - NAMED} more" if len(live.children) > NAMED else ""
        raise RefusedError(
            f"foreign keys of {named}{more} reference {shown}, and would follow it to its new name",
            "put rows that are gone back by --missing-rows, or restore it beside (--table alone) and use SQL",
        )


def _rows(ask: Ask, columns: str, where: str) -> list[list[str]]:
    """Return cells of a query on information_schema."""
    cells = ", ".join(f"HEX(CONVERT({each} USING utf8mb4))" for each in columns.split(", "))
    lines = ask(f"SELECT {cells} FROM information_schema.{where}")
    return [["" if cell == "NULL" else bytes.fromhex(cell).decode() for cell in line.split("\t")] for line in lines]


def _sees_triggers(ask: Ask, database: str, of: str) -> bool:
    """Return whether the account may see triggers: without the privilege information_schema shows none."""
    me = "SUBSTRING_INDEX(CURRENT_USER(), '@', -1)"
    user = f"LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH({me}) - 1)"
    mine = f"PRIVILEGE_TYPE = 'TRIGGER' AND GRANTEE = CONCAT(\"'\", {user}, \"'@'\", {me}, \"'\")"
    tables = {
        "USER_PRIVILEGES": mine,
        "SCHEMA_PRIVILEGES": f"{mine} AND {text(database)} LIKE TABLE_SCHEMA",
        "TABLE_PRIVILEGES": f"{mine} AND {of}",
    }
    counts = " + ".join(
        f"(SELECT COUNT(*) FROM information_schema.{each} WHERE {where})" for each, where in tables.items()
    )
    return ask(f"SELECT {counts}") != ["0"]


def _keys(ask: Ask, database: str, table: str) -> tuple[ForeignKey, ...]:
    rows = _rows(
        ask,
        "k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,"
        " k.REFERENCED_TABLE_NAME, r.UPDATE_RULE, r.DELETE_RULE",
        "KEY_COLUMN_USAGE AS k JOIN information_schema.REFERENTIAL_CONSTRAINTS AS r"
        " ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME"
        f" AND r.TABLE_NAME = k.TABLE_NAME WHERE k.TABLE_SCHEMA = {text(database)} AND k.TABLE_NAME = {text(table)}"
        " AND k.REFERENCED_TABLE_NAME IS NOT NULL ORDER BY k.CONSTRAINT_NAME, k.ORDINAL_POSITION",
    )
    by_name: dict[str, list[list[str]]] = {}
    for row in rows:
        by_name.setdefault(row[0], []).append(row)
    return tuple(
        ForeignKey(key, tuple((row[1], row[2]) for row in mine), mine[0][3], mine[0][4], (mine[0][5], mine[0][6]))
        for key, mine in by_name.items()
    )


def _triggers(ask: Ask, database: str, table: str) -> tuple[Trigger, ...]:
    rows = _rows(
        ask,
        "TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER, SQL_MODE, COLLATION_CONNECTION",
        f"TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {text(database)} AND EVENT_OBJECT_TABLE = {text(table)}"
        " ORDER BY ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
    )
    return tuple(Trigger(row[0], f"{row[1]} {row[2]}", *row[3:7]) for row in rows)


def _children(ask: Ask, database: str, table: str) -> tuple[str, ...]:
    """Return the other tables whose foreign keys reference it, also those that the account may not see otherwise."""
    coded = "CONVERT(CAST(CONVERT({} USING filename) AS BINARY) USING utf8mb4)"
    mine = f"CONCAT({coded.format(text(database))}, '/', {coded.format(text(table))})"
    rows = _rows(ask, "FOR_NAME", f"INNODB_SYS_FOREIGN WHERE REF_NAME = {mine} AND FOR_NAME <> REF_NAME")
    return tuple(sorted({row[0].replace("/", ".", 1) for row in rows}))
