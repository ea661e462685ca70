"""What a dump leaves out because its account may not see it, from what SHOW GRANTS says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sources.dumps import mysql_rights
from tasks.sources.dumps.product import NOTE

WHO = "`dumper`@`%`"


def left_out(*grants: str, named: bool = True, database: str = "shop") -> list[str]:
    lines = [f"databases {database.encode().hex().upper()}", *(f"GRANT {each} TO {WHO}" for each in grants)]
    return list(mysql_rights.left_out(["some warning", *(f"{NOTE}{line}" for line in lines)], named=named))


@pytest.mark.parametrize(
    ("grants", "lacks"),
    [
        (["ALL PRIVILEGES ON *.*"], []),
        (["USAGE ON *.*", "ALL PRIVILEGES ON `shop`.*"], []),
        (["SELECT, TRIGGER, EVENT ON *.*"], []),
        (["USAGE ON *.*", "SELECT, TRIGGER ON `shop`.*", "SELECT ON `mysql`.`proc`"], []),
        (["SELECT, TRIGGER, EXECUTE ON `s%p`.*"], []),
        (["SELECT, TRIGGER, EXECUTE ON `sho_`.*"], []),
        (["SELECT, TRIGGER ON `shop`.*", "SHOW_ROUTINE ON *.*"], []),
        (["SELECT, EXECUTE ON `shop`.*"], ["triggers"]),
        (["SELECT, EXECUTE ON `shop`.*", "TRIGGER ON `shop`.`orders`"], ["triggers"]),
        (["SELECT, TRIGGER ON `shop`.*"], ["procedures"]),
        (["SELECT, EVENT, SHOW VIEW ON `shop`.*"], ["triggers", "procedures"]),
        (["SELECT, TRIGGER ON `shop`.`orders`", "EXECUTE ON `shop`.*"], ["tables"]),
        (["SELECT, TRIGGER, EXECUTE ON `sho\\_`.*"], ["tables", "procedures"]),
        (["ALL PRIVILEGES ON `shop2`.*"], ["tables", "procedures"]),
    ],
)
def test_what_is_not_seen_is_named(grants: list[str], lacks: list[str]) -> None:
    found = left_out(*grants)
    assert [line.removeprefix("shop: ").split()[0].rstrip(",") for line in found] == lacks
    assert all(f"TO {WHO}" in line and "GRANT " in line for line in found)


def test_all_databases_are_all_that_the_server_has() -> None:
    own = "ALL PRIVILEGES ON `shop`.*"
    assert "databases that the account may not see" in left_out(own, named=False)[0]
    assert left_out(own, "SHOW DATABASES ON *.*", named=False) == []
    assert left_out(own) == []


def test_rights_that_are_not_known_are_not_taken_for_all() -> None:
    assert list(mysql_rights.left_out([], named=True)) == [mysql_rights.UNKNOWN]
    assert list(mysql_rights.left_out([f"{NOTE}databases 73686F70"], named=True)) == [mysql_rights.UNKNOWN]


@given(st.text(st.characters(exclude_characters="/\\.\0\n\r`", exclude_categories=["Cs"]), min_size=1, max_size=64))
def test_a_name_that_is_escaped_as_grant_wants_it_is_that_name_alone(name: str) -> None:
    escaped = name.replace("_", "\\_").replace("%", "\\%")
    grant = f"ALL PRIVILEGES ON `{escaped}`.*"
    assert left_out(grant, database=name) == []
    assert left_out(grant, database=f"{name}x") != []
