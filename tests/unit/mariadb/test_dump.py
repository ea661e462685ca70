"""By which name mariadb-backup logs in."""

import pytest

from tasks.inventory.models import MariaDB
from tasks.mariadb.access import Access
from tasks.mariadb.dump import DumpOptions, dump
from tasks.mariadb.server import Tools


@pytest.mark.parametrize(
    ("database", "given", "named"),
    [
        (MariaDB(), frozenset(), True),
        (MariaDB(user="backup"), frozenset(), False),
        (MariaDB(defaults_file="/root/own.cnf"), frozenset({"user", "password"}), False),
        (MariaDB(defaults_file="/root/own.cnf"), frozenset({"socket"}), True),
    ],
)
def test_the_clients_own_name_is_told_where_nothing_else_names_one(
    database: MariaDB, given: frozenset[str], named: bool
) -> None:
    tools = Tools(backup="10.5.23", mbstream=True, options=frozenset(), given=given)
    text = dump(Access(database), tools, DumpOptions(16384, login="root")).body
    assert ("--user=root" in text) is named
    assert "--user" not in dump(Access(MariaDB()), tools, DumpOptions(16384)).body
