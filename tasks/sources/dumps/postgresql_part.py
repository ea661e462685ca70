"""Restores a PostgreSQL database, or one table of it, out of a dump into a new database beside the live one."""

import re
from datetime import datetime
from functools import partial

from tasks.borg.choice import Choices
from tasks.errors import UsageError
from tasks.sources.base import Part, Planned
from tasks.sources.dumps.dump_restore import Load, loaded
from tasks.sources.dumps.postgresql import DATABASE, PostgreSQL

PUBLIC = "public"


def plan(choices: Choices, name: str, archive: str, at: datetime | None, part: Part) -> Planned:
    """Plan the restore of a part of a dump. Raises UsageError, and what `Choices.choose` raises."""
    product = choices.app.dumps[name].product
    assert isinstance(product, PostgreSQL)
    database = product.database
    if database is None:
        raise UsageError(
            f"{name} is of a whole server, which restore takes apart no further", "give --target, a folder"
        )
    if part.diff or part.missing_rows or part.replace:
        raise UsageError(
            "--diff, --missing-rows and --replace are of MariaDB", "leave them out: the table comes beside"
        )
    if part.database and (part.table or part.database != database):
        raise UsageError(f"{name} is of the database {database}", f"give --database {database} alone, or --table")
    into = part.into or f"{database}_restored"
    if into == database or not re.fullmatch(DATABASE, into):
        raise UsageError(f"a new database cannot be named {into}", "name another one: --into")
    schema, table = _table(part.table)
    what = f"{schema}.{table} of {database}" if table else database
    choice = choices.choose(name, archive, at)
    load = Load(product.beside(into, schema, table), twice=bool(table))
    work = partial(loaded, choices, choice, name, load)
    return Planned(choice.archive, work, choice, beside=f"{what} into the database {into}")


def _table(given: str) -> tuple[str, str]:
    """Return schema and table of `TABLE` or `SCHEMA.TABLE`; both empty for none. Raises UsageError."""
    if not given:
        return "", ""
    schema, _, table = given.rpartition(".")
    if not table or "." in schema:
        raise UsageError(
            f"--table {given} is not a table of PostgreSQL", "give TABLE or SCHEMA.TABLE, as public.orders"
        )
    return schema or PUBLIC, table
