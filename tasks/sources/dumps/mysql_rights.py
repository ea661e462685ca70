"""What mariadb-dump and mysqldump leave out, with exit code 0, for an account that may not see it.

Tried with MariaDB 10.11: without TRIGGER no triggers, without any right on routines no routines, and without SELECT on
a whole database only the tables of which the account has a right. For events, views and the code of routines that it
sees and may not read, the tools fail. MySQL's rights are from its manual.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tasks.sources.dumps.product import NOTE

DATABASES = "databases"  # begins the line of `host/mysql_dump.sh` that names them; the others are those of SHOW GRANTS
EVERYWHERE, ALL = "*", "ALL PRIVILEGES"
_NAME = r"`(?:[^`]|``)*`|\*"
_GRANT = re.compile(rf"GRANT (?P<rights>.+?) ON (?P<database>{_NAME})\.(?P<table>{_NAME}) TO (?P<account>\S.*)")
# With any of these the account sees that there are routines, and a dump without their code fails.
ROUTINES = frozenset({"EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "SHOW CREATE ROUTINE", "SHOW_ROUTINE"})
UNKNOWN = "what the account may not see: SHOW GRANTS says nothing of its rights"

Rights = Mapping[tuple[str, str], frozenset[str]]
"""Rights by database and table, as they are granted: a database may be a pattern of LIKE; `*` is all."""


def left_out(said: Sequence[str], *, named: bool) -> Iterator[str]:
    """Yield what a dump may lack, with the GRANT that ends that.

    `said` are the lines of its standard error. `named`: the inventory names the databases, so no other is expected.
    """
    lines = [line.removeprefix(NOTE).strip() for line in said if line.startswith(NOTE)]
    found = [match for line in lines if (match := _GRANT.match(line))]
    if not found:
        yield UNKNOWN
        return
    account = found[0]["account"].partition(" WITH ")[0]
    rights = granted(found)
    if not named and not _has(rights, EVERYWHERE, {"SELECT", "SHOW DATABASES"}):
        yield f"databases that the account may not see: GRANT SHOW DATABASES ON *.* TO {account}, or name `databases`"
    for digits in [word for line in lines if line.startswith(DATABASES) for word in line.split()[1:]]:
        yield from _of(bytes.fromhex(digits).decode("utf-8", "replace"), rights, account)


def granted(found: Sequence[re.Match[str]]) -> Rights:
    """Return the rights that lines of SHOW GRANTS give."""
    rights: dict[tuple[str, str], frozenset[str]] = {}
    for match in found:
        key = (_plain(match["database"]), _plain(match["table"]))
        rights[key] = rights.get(key, frozenset()) | frozenset(match["rights"].split(", "))
    return rights


def _of(database: str, rights: Rights, account: str) -> Iterator[str]:
    on = f"ON `{database.replace('`', '``')}`.* TO {account}"
    if not _has(rights, database, {"SELECT"}):
        yield f"{database}: tables that the account may not see: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT {on}"
    elif not _has(rights, database, {"TRIGGER"}):
        yield f"{database}: triggers, if there are any: the account may not see them: GRANT TRIGGER {on}"
    if not (_has(rights, database, ROUTINES) or _has(rights, "mysql", {"SELECT"}, "proc")):
        yield (
            f"{database}: procedures and functions, if there are any: the account may not see them: "
            f"GRANT SELECT ON mysql.proc TO {account} (MySQL 8: GRANT SHOW_ROUTINE ON *.*)"
        )


def _has(rights: Rights, database: str, wanted: set[str] | frozenset[str], table: str = EVERYWHERE) -> bool:
    """Return whether one of the rights is held on a whole database, on a table of it, or everywhere."""
    held = [
        own
        for (on, what), own in rights.items()
        if on == EVERYWHERE or (_like(on, database) and what in (EVERYWHERE, table))
    ]
    return any(own & wanted or ALL in own for own in held)


def _like(pattern: str, name: str) -> bool:
    """Return whether a pattern of LIKE, escaped by backslashes, matches a name."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    signs = {"%": ".*", "_": "."}
    return bool(re.fullmatch("".join(signs.get(each) or re.escape(each[-1]) for each in parts), name, re.DOTALL))


def _plain(name: str) -> str:
    return name if name == EVERYWHERE else name[1:-1].replace("``", "`")
