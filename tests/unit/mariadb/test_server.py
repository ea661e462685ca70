"""What a server's own words mean for a backup of it."""

from tasks.mariadb import server

NO_GRANTS = (
    "ERROR 1290 (HY000) at line 8: The MariaDB server is running with the --skip-grant-tables option so it cannot"
    " execute this statement"
)


def test_a_server_without_grants_is_told_as_that_and_not_as_an_account_without_rights() -> None:
    faults = server.faults(server.parse("", NO_GRANTS))
    assert [what for what, _ in faults if "skip-grant-tables" in what]
    assert not [what for what, _ in faults if "may not" in what]
