"""Which tables are expected of an archive, and what a restored copy lacks."""

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mariadb import option_files
from tasks.mariadb.host import tables
from tasks.mariadb.host.tables import Known

TEXT = """\
=shop/
 11 orders.frm
 12 orders.ibd
 13 parts.frm
 14 parts#P#p0.ibd
 15 db.opt
 16 #sql-1a2b.frm
 17 dump.sql
 18 with space.MYD
=lost+found/
"""
NAMES = st.from_regex(r"[a-z]{1,3}/[a-z@0-9]{1,4}", fullmatch=True)


def test_a_listing_is_read_without_what_is_no_table() -> None:
    assert tables.listed(TEXT) == {
        "shop/orders.frm": 11, "shop/orders.ibd": 12, "shop/parts.frm": 13, "shop/parts#P#p0.ibd": 14,
        "shop/db.opt": 15, "shop/with space.MYD": 18,
    }  # fmt: skip
    assert tables.tables(tables.listed(TEXT)) == ["shop/orders", "shop/parts"]


@given(st.text())
def test_any_listing_is_read(text: str) -> None:
    tables.listed(text)


def test_only_what_did_not_change_is_expected() -> None:
    before = {"d/a.frm": 1, "d/a.ibd": 2, "d/b.frm": 3, "d/b.ibd": 4, "d/gone.frm": 5, "d/x.ibd": 6, "d/p.frm": 7,
              "d/p#P#p0.ibd": 8}  # fmt: skip
    after = {"d/a.frm": 1, "d/a.ibd": 20, "d/b.frm": 9, "d/b.ibd": 4, "d/late.frm": 5, "d/x.ibd": 6, "d/p.frm": 7,
             "d/p#P#p0.ibd": 8}  # fmt: skip
    assert tables.stable(before, after) == ["d/a.frm", "d/a.ibd", "d/p#P#p0.ibd", "d/p.frm"]


def test_a_rebuilt_table_comes_under_another_name() -> None:
    files = ["d/a.frm", "d/a.ibd", "d/b.ibd", "d/c.isl"]
    assert tables.left_out(files, {"d/a.frm", "d/a.new"}) == ["d/b"]


@given(st.lists(NAMES, unique=True))
def test_a_copy_with_all_tables_lacks_none_and_one_without_any_lacks_all(names: list[str]) -> None:
    known = tables.known(sorted(names))
    assert tables.lacking(known, names) == []
    assert len(tables.lacking(known, [])) == len(names)
    assert tables.parse(json.loads(json.dumps(known.details()))) == known


def test_of_many_tables_the_numbers_tell() -> None:
    names = [f"big/t{number:05d}" for number in range(tables.NAMED + 500)]
    known = tables.known(names)
    assert len(known.names) == tables.NAMED
    assert tables.lacking(known, names[:-1]) == ["big: 2499 of 2500 tables"]
    assert tables.lacking(known, names[1:]) == ["big.t00000"]


@pytest.mark.parametrize(
    "value", [None, 1, [], {}, {"schemas": 1}, {"schemas": {"a": "x"}, "names": 7}, {"schemas": {1: 2}, "names": [3]}]
)
def test_a_record_of_another_form_expects_nothing(value: object) -> None:
    assert tables.parse(value) in (None, Known({}, ()))


@pytest.mark.parametrize(
    "text",
    ["", "!", base64.b64encode(b"no zlib").decode(), base64.b64encode(zlib.compress(b"[]")).decode(),
     base64.b64encode(zlib.compress(b'{"schemas": {}}')).decode(), base64.b64encode(zlib.compress(b"{")).decode()],
)  # fmt: skip
def test_what_a_host_tells_of_another_form_is_no_answer(text: str) -> None:
    assert tables.compared(["other"]) is None
    with pytest.raises(ValueError, match=r".*"):
        tables.compared([f"{tables.TOLD}{text}"])


@pytest.mark.parametrize(
    "option",
    ["--databases-exclude=logs", "databases_exclude", "loose-databases-exclude=a b", "--LOOSE_databases-exclude"],
)
def test_an_option_is_known_in_all_spellings(option: str) -> None:
    assert option_files.overriding([option_files.plain(option)]) == ["--databases-exclude="]
    assert option_files.overridden([option_files.plain(option)]) == ["databases-exclude"]


def test_options_of_the_server_and_harmless_ones_are_nobodys_business() -> None:
    names = [
        option_files.plain(each) for each in ("table_open_cache=1", "parallel=4", "compress-threads=2", "datadir=/x")
    ]
    assert option_files.overriding(names) == option_files.refused(names) == []
    assert option_files.refused(["compress", "tables_file"]) == ["compress", "tables-file"]


def test_a_table_of_archive_is_known_by_its_data() -> None:
    """Its definition is in that file."""
    files = tables.listed("=shop/\n 11 old.ARZ\n 12 orders.frm\n 13 orders.ibd\n")
    assert tables.tables(files) == ["shop/old", "shop/orders"]
    assert tables.left_out(tables.stable(files, files), {"shop/orders.frm", "shop/orders.ibd"}) == ["shop/old"]
    assert tables.stable(files, files | {"shop/old.ARZ": 20}) == ["shop/orders.frm", "shop/orders.ibd"]
