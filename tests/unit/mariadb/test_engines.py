"""Tables whose data no backup of a server has: by their definitions, and what becomes of a backup that finds some."""

import base64
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inventory.models import App
from tasks.mariadb import mariadb_source, server
from tasks.mariadb.config import MariaDB
from tasks.mariadb.host import engines, tables
from tasks.records.verdict import LEFT_OUT

ASKED = server.parse("")


def definition(engine: bytes, clause: bytes = b"", number: int = 0, row: int = 100, keys: int = 12) -> bytes:
    """Return the parts of a table's definition that tell its engine, in the place where a server writes them."""
    extra = struct.pack("<H", 3) + b"url" + struct.pack("<H", len(engine)) + engine
    extra += struct.pack("<I", len(clause)) + clause + b"\0"
    head = bytearray(64)
    head[:2] = engines.MAGIC
    struct.pack_into("<H", head, 6, 80)
    struct.pack_into("<H", head, 14, min(keys, 0xFFFF))
    struct.pack_into("<H", head, 16, row)
    struct.pack_into("<I", head, 47, keys)
    struct.pack_into("<I", head, 55, len(extra))
    head[engines.NUMBER] = number
    return bytes(head) + bytes(80 - 64 + keys + row) + extra + b"columns ENGINE = CONNECT"


SHARDS = b"PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (5) COMMENT = 'ENGINE = InnoDB' ENGINE = SPIDER)"


@pytest.mark.parametrize(
    ("text", "engine", "elsewhere"),
    [
        (definition(b"InnoDB"), "InnoDB", ""),
        (definition(b"Aria", keys=70_000), "Aria", ""),
        (definition(b"MEMORY"), "MEMORY", ""),
        (definition(b"CONNECT"), "CONNECT", "CONNECT"),
        (definition(b"Mroonga", row=60_000), "Mroonga", "Mroonga"),
        (definition(b"partition", SHARDS), "SPIDER", "SPIDER"),
        (definition(b"partition", b"PARTITION BY HASH (a)", 12), "partition", ""),
        (definition(b"partition", b"PARTITION BY HASH (a)", 47), "partition", "partition"),
        (definition(b"\x1b[31m"), "", ""),
        (b"TYPE=VIEW\nquery=select 1", "", ""),
    ],
)
def test_a_definition_tells_the_engine(text: bytes, engine: str, elsewhere: str) -> None:
    assert (engines.engine(text), engines.elsewhere(text)) == (engine, elsewhere)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_definition_is_read(text: bytes, cut: int) -> None:
    engines.elsewhere(engines.MAGIC + text)
    engines.elsewhere(definition(b"partition", SHARDS)[:cut])


def said(elsewhere: Mapping[str, str]) -> Sequence[str]:
    """Return the filter's report of a backup with these tables, of which the stream has all definitions."""
    known = tables.known(["shop/orders", *elsewhere])._replace(elsewhere=elsewhere)
    values = {**known.details(), "missing": 0, "first": []}
    return [tables.TOLD + base64.b64encode(zlib.compress(json.dumps(values).encode())).decode()]


def app(*elsewhere: str) -> App:
    values: dict[str, Any] = {"name": "shop", "mariadb": MariaDB(elsewhere=elsewhere)}
    return App.model_construct(**values)


FAR = {"shop/export": "CONNECT", "archive/caf@00e9": "SPIDER"}


def test_such_a_table_makes_the_archive_incomplete_unless_the_inventory_lists_it() -> None:
    found, told = mariadb_source.judged(app(), ASKED, said(FAR))
    assert found[LEFT_OUT] == {
        "count": 2,
        "first": [
            "shop.export: only its definition is in the archive, as of all tables of CONNECT",
            "archive.café: only its definition is in the archive, as of all tables of SPIDER",
        ],
    }
    assert told[0].startswith("shop.export, archive.café: their data is in other files")
    assert "mariadb.elsewhere" in told[0]
    assert found["tables"]["elsewhere"] == FAR

    assert mariadb_source.judged(app("shop.export"), ASKED, said(FAR))[0][LEFT_OUT]["count"] == 1
    for listed in (("shop.export", "archive.*"), ("*.*",)):
        found, told = mariadb_source.judged(app(*listed), ASKED, said(FAR))
        assert (LEFT_OUT in found, told) == (False, ())
        assert found["tables"]["elsewhere"] == FAR


@pytest.mark.parametrize("values", ["x", [1], {"shop/a": 1}, None])
def test_a_record_with_something_else_in_it_is_read(values: Any) -> None:
    found = tables.parse({"schemas": {"shop": 1}, "names": ["shop/a"], "elsewhere": values})
    assert found is not None
    assert found.elsewhere == {}


def test_a_pattern_without_a_database_is_refused() -> None:
    for text in ("export", ".export", "shop."):
        with pytest.raises(pydantic.ValidationError, match=r"write database\.table"):
            MariaDB(elsewhere=(text,))
