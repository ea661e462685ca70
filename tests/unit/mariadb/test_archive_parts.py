"""Which members of an archive one table needs."""

import pytest

from tasks.mariadb.archive_parts import Part, needed

ROOT = ["small-files/backup-my.cnf", "ibdata1/00000000000000", "ib_logfile0/00000000000000"]
SYSTEM = ["mysql/small-files/db.frm", "mysql/big.ibd/00000000000000"]
SHOP = [
    "shop/small-files/a.frm",
    "shop/orders.ibd/00000000000000",
    "shop/orders.ibd/00000010485760",
    "shop/caf@00e9.ibd/00000000000000",
    "shop/orders#P#p0.ibd/00000000000000",
    "shop/log.MYD/00000000000000",
    "shop/FTS_0000000000000015_DELETED.ibd/00000000000000",
    "shop/sparse.ibd/00000001048576",
]
OTHER = ["crm/small-files/x.frm", "crm/people.ibd/00000000000000"]
ALL = [*ROOT, *SYSTEM, *SHOP, *OTHER]


def found(paths: list[str], part: Part) -> set[str] | None:
    names = needed([f"mariadb.mbstream/{path}" for path in paths], part)
    return None if names is None else {name.removeprefix("mariadb.mbstream/") for name in names}


ALWAYS = {"small-files", "ibdata1", "ib_logfile0", "mysql/small-files", "mysql/big.ibd", "shop/small-files"}
# Another engine's files, indexes for which no name says whose they are, and what begins among the small files.
BESIDE = {"shop/log.MYD", "shop/FTS_0000000000000015_DELETED.ibd", "shop/sparse.ibd"}


@pytest.mark.parametrize(
    ("table", "own"),
    [
        ("orders", {"shop/orders.ibd", "shop/orders#P#p0.ibd"}),
        ("Orders", {"shop/orders.ibd", "shop/orders#P#p0.ibd"}),
        ("café", {"shop/caf@00e9.ibd"}),
        ("tiny", set()),
    ],
)
def test_a_table_needs_its_own_members_and_those_of_the_server(table: str, own: set[str]) -> None:
    assert found(ALL, Part("shop", (table,))) == ALWAYS | BESIDE | own


def test_a_database_needs_all_of_its_own() -> None:
    crm = found(ALL, Part("crm"))
    assert crm is not None
    assert {path.partition("/")[0] for path in crm} == {"small-files", "ibdata1", "ib_logfile0", "mysql", "crm"}


@pytest.mark.parametrize(
    "more",
    [
        ["ddl-log/shop/gone.ibd"],
        ["shop/new.ibd.new/00000000000000"],
        ["shop/old.ren/00000000000000"],
        ["shop/a%20b.ibd/00000000000000"],
        ["shop/orders.ibd/part"],
        ["%2E%2E/x/00000000000000"],
    ],
)
def test_after_changes_of_tables_and_of_odd_names_all_is_read(more: list[str]) -> None:
    assert found([*ALL, *more], Part("shop", ("orders",))) is None


def test_archives_of_earlier_versions_and_of_others_are_read_whole() -> None:
    for paths in (["mariadb.mbstream"], ["etc/passwd"], []):
        assert needed(paths, Part("shop", ("orders",))) is None


def test_all_is_read_of_an_archive_without_that_database_or_where_a_name_may_be_a_views() -> None:
    assert found(ALL, Part("gone", ("orders",))) is None
    assert found(ALL, Part("shop", ("tiny",), own=True)) is None
    assert found(ALL, Part("shop", ("orders", "tiny"), own=True)) is None
    assert found(ALL, Part("shop", ("orders",), own=True)) == ALWAYS | BESIDE | {
        "shop/orders.ibd",
        "shop/orders#P#p0.ibd",
    }
