"""Puts a restored copy in the place of the live table, which is kept under another name: one atomic RENAME TABLE.

    moved beside the live table -> foreign keys, triggers -> RENAME TABLE live TO kept, new TO live -> their own names

The names of foreign keys and triggers are unique within a database, so the new table's are temporary until after the
swap. What the server does with them was tried (10.11.19): on RENAME TABLE within a database triggers and
foreign keys stay with their table, foreign keys of other tables follow it to its new name, and a table with triggers
cannot go to another database. Up to the swap a fault or a death leaves the live table as it was; after it, the new one
with all its rows, keys and triggers.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tasks.errors import CloudbackupError, RefusedError
from tasks.mariadb.host.digest import name, text
from tasks.mariadb.live_table import Ask, ForeignKey, LiveTable, Trigger, look, refuse_unsafe
from tasks.units import many

LONGEST = 64  # characters of a name
# Tables of the form of `TableSwap.new`, beside a table of the rest of their name.
REMAINS = r"""
SELECT HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES AS t WHERE TABLE_TYPE = 'BASE TABLE'
AND TABLE_NAME REGEXP '_new_[0-9a-f]{8}$' AND EXISTS (SELECT 1 FROM information_schema.TABLES AS live
WHERE live.TABLE_SCHEMA = t.TABLE_SCHEMA AND live.TABLE_TYPE = 'BASE TABLE'
AND LEFT(live.TABLE_NAME, 51) = LEFT(t.TABLE_NAME, CHAR_LENGTH(t.TABLE_NAME) - 13));
"""
WAIT = "SET lock_wait_timeout = 60;\n"  # seconds: whoever waits for the table waits behind us


@dataclass(frozen=True)
class Swapped:
    """The end of a swap: the name of the table that was live before, empty if there was none, and remarks."""

    kept: str
    said: tuple[str, ...]
    remarks: tuple[str, ...]  # what a person has to look at


def remains(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return what swaps that were cut off left, by the answer to REMAINS: what it is, and what to do."""
    found = [[bytes.fromhex(cell).decode() for cell in line.split("\t")] for line in lines]
    return [
        (
            f"{database}.{table} looks like what a `restore --table --replace` left that was cut off",
            f"look at it, and if nobody needs it: DROP TABLE {name(database, table)};",
        )
        for database, table in found
    ]


class TableSwap:
    """The swap of a live table for its copy, the table of the same name in the database `copy`."""

    def __init__(self, ask: Ask, database: str, table: str, copy: str) -> None:
        self._ask = ask
        self.database, self.table, self.copy = database, table, copy
        self._token = secrets.token_hex(4)
        self.new = self._named(f"new_{self._token}")
        self.kept = self._named(f"kept_{datetime.now(UTC):%Y%m%d_%H%M%S}")
        self.live = self.look()

    def look(self) -> LiveTable:
        """Return what hangs on the live table. Raises RefusedError if it cannot be replaced, DatabaseError."""
        found = look(self._ask, self.database, self.table)
        refuse_unsafe(found, self.database, self.table)
        return found

    def run(self) -> Swapped:
        """Swap. Raises DatabaseError, RefusedError: the live table is as it was then."""
        before, copied = self.live, look(self._ask, self.copy, self.table)
        new = name(self.database, self.new)
        self._ask(f"RENAME TABLE {name(self.copy, self.table)} TO {new}")
        try:
            self._dress(before)
            self._refresh(before, copied)
            live, kept = name(self.database, self.table), name(self.database, self.kept)
            first = f"{live} TO {kept}, " if before.kind else ""
            self._ask(f"{WAIT}RENAME TABLE {first}{new} TO {live}")
        except BaseException as error:
            self._drop_new(error)
            raise
        remarks = [*self._own_names(before), *_unlike(before, copied)]
        return Swapped(self.kept if before.kind else "", self._said(before), tuple(remarks))

    def _dress(self, live: LiveTable) -> None:
        """Give the new table the foreign keys and triggers of the live one."""
        new = name(self.database, self.new)
        if live.keys:
            added = ", ".join(f"ADD {self._key(each, self._meanwhile(each.name), new)}" for each in live.keys)
            self._ask(f"{WAIT}SET foreign_key_checks = 1;\nALTER TABLE {new} {added}")
        for each in live.triggers:
            self._ask(_creation(each, name(self.database, self._other(each.name)), new))

    def _refresh(self, before: LiveTable, copied: LiveTable) -> None:
        """Take over the next AUTO_INCREMENT. Raises RefusedError if the live table was altered since `before`."""
        now = self.look()
        if replace(now, next_id=0) != replace(before, next_id=0):
            raise RefusedError(f"{self.database}.{self.table} was altered meanwhile", "run the same command again")
        if now.next_id > copied.next_id > 0:
            self._ask(f"ALTER TABLE {name(self.database, self.new)} AUTO_INCREMENT = {now.next_id}")

    def _own_names(self, live: LiveTable) -> list[str]:
        """Give keys and triggers their own names; return remarks if that fails, which loses nothing."""
        remarks = []
        for what, rename in (("foreign keys", self._key_names), ("triggers", self._trigger_names)):
            try:
                rename(live)
            except CloudbackupError as error:
                remarks.append(f"{what} have names that end in _{self._token}: {error.what}")
        return remarks

    def _key_names(self, live: LiveTable) -> None:
        """Take the keys from the kept table, where they would hold other tables' rows, and rename those of the new."""
        if not live.keys:
            return
        kept, table = name(self.database, self.kept), name(self.database, self.table)
        there = [each.name for each in look(self._ask, self.database, self.kept).keys]
        self._ask(f"{WAIT}ALTER TABLE {kept} " + ", ".join(f"DROP FOREIGN KEY {name(each)}" for each in there))
        named = [each for each in live.keys if self._meanwhile(each.name)]
        if named:
            gone = [f"DROP FOREIGN KEY {name(self._meanwhile(each.name))}" for each in named]
            made = [f"ADD {self._key(each, each.name, table)}" for each in named]
            self._ask(f"{WAIT}SET foreign_key_checks = 0;\nALTER TABLE {table} {', '.join([*gone, *made])}")

    def _trigger_names(self, live: LiveTable) -> None:
        """Rename the triggers of the new table while nobody can write to it."""
        if not live.triggers:
            return
        table, kept = name(self.database, self.table), name(self.database, self.kept)
        steps = [f"{WAIT}LOCK TABLES {table} WRITE, {kept} WRITE;"]
        for each in live.triggers:
            own, other = name(self.database, each.name), name(self.database, self._other(each.name))
            steps += [f"DROP TRIGGER {own};", _creation(each, own, table), f"DROP TRIGGER {other};"]
        self._ask("\n".join([*steps, "UNLOCK TABLES;"]))

    def _drop_new(self, error: BaseException) -> None:
        """Drop the new table after a fault; what also goes wrong then is added to the error's remedy."""
        try:
            self._ask(f"DROP TABLE IF EXISTS {name(self.database, self.new)}")
        except CloudbackupError:
            if isinstance(error, CloudbackupError):
                more = f"{self.database}.{self.new} is left of it: drop it"
                error.remedy = "\n  ".join(filter(None, (error.remedy, more)))

    def _key(self, key: ForeignKey, own: str, itself: str) -> str:
        same = (key.database, key.table) == (self.database, self.table)
        return key.definition(own, itself if same else name(key.database, key.table))

    def _meanwhile(self, key: str) -> str:
        """Return a key's name until the swap; empty for one that the server named, and renames with its table."""
        return "" if key.startswith(f"{self.table}_ibfk_") else self._other(key)

    def _other(self, own: str) -> str:
        """Return the name of a key or trigger until the swap; long ones stay apart where they are cut."""
        end = f"_{self._token}"
        if len(own) + len(end) > LONGEST:
            end = f"_{hashlib.sha256(own.encode()).hexdigest()[:8]}{end}"
        return f"{own[: LONGEST - len(end)]}{end}"

    def _named(self, end: str) -> str:
        return f"{self.table[: LONGEST - len(end) - 1]}_{end}"

    def _said(self, live: LiveTable) -> tuple[str, ...]:
        if not live.kind:
            return (f"there was no table {self.database}.{self.table}; the triggers it had are not in it",)
        hung = [(many(len(live.keys), "foreign key"), live.keys), (many(len(live.triggers), "trigger"), live.triggers)]
        has = " and ".join(shown for shown, there in hung if there)
        lines = [f"the table before is {self.database}.{self.kept}: drop it when nobody needs it any more"]
        return (*lines, f"the new table has {has} of the one before") if has else tuple(lines)


def _creation(trigger: Trigger, own: str, table: str) -> str:
    """Return the statements that create a trigger with the settings that it had."""
    end = f"//{secrets.token_hex(6)}"  # the client takes 15 characters
    settings = f"SET sql_mode = {text(trigger.sql_mode)}, collation_connection = {text(trigger.collation)};"
    return f"{settings}\nDELIMITER {end}\n{trigger.creation(own, table)}\n{end}\nDELIMITER ;\n"


def _unlike(live: LiveTable, copied: LiveTable) -> Sequence[str]:
    if not live.kind or live.columns == copied.columns:
        return ()
    return (f"its columns are those of the backup, unlike those before: {_changed(live, copied)}",)


def _changed(live: LiveTable, copied: LiveTable) -> str:
    before, now = dict(live.columns), dict(copied.columns)
    gone, back = [each for each in before if each not in now], [each for each in now if each not in before]
    other = [each for each in now if each in before and before[each] != now[each]]
    named = (("without ", gone), ("with ", back), ("another type of ", other))
    return "; ".join(f"{what}{', '.join(each)}" for what, each in named if each) or "in another order"
