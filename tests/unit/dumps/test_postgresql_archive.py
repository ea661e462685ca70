"""An archive of pg_dump, by the formats of several series: whole, or cut at whatever byte."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sources.dumps.host.postgresql_archive import DATA, LARGE_OBJECTS, NO_DATA, Archive

VERSIONS = ((1, 13), (1, 14), (1, 15), (1, 16))


def number(value: int) -> bytes:
    return struct.pack("<BI", value < 0, abs(value))


def text(value: str | None) -> bytes:
    return number(-1) if value is None else number(len(value)) + value.encode()


def entry(version: tuple[int, int], name: str, flag: int) -> bytes:
    texts = ["1259", "16385", name, "TABLE DATA"]
    more = ["CREATE ...", None, "COPY ...", "public", "", *(["heap"] if version >= (1, 14) else [])]
    return b"".join(
        [
            number(7),
            number(1),
            *map(text, texts),
            number(3),
            *map(text, more),
            number(ord("r")) if version >= (1, 16) else b"",
            *map(text, ["owner", "false", "3", "4", None]),
            bytes([flag]) + bytes(8),
        ]
    )


def archive(version: tuple[int, int]) -> bytes:
    """Return one as pg_dump writes it to a pipe: a view, two tables, of which one is empty, and large objects."""
    head = b"PGDMP" + bytes([*version, 0, 4, 8, 1]) + (b"\0" if version >= (1, 15) else number(0))
    head += b"".join(number(1) for _ in range(7)) + text("shop") + text("15.13") + text("15.13")
    entries = [entry(version, "view", NO_DATA), *(entry(version, name, 1) for name in ("orders", "empty", "objects"))]
    rows = b"".join(text(f"{row}\tsome text\n") for row in range(300))
    first, second = bytes([DATA]) + number(7) + rows + number(0), bytes([DATA]) + number(8) + number(0)
    objects = number(5) + text("content") + number(0) + number(6) + number(0)
    third = bytes([LARGE_OBJECTS]) + number(9) + objects + number(0)
    return head + number(len(entries)) + b"".join(entries) + first + second + third


def fault(data: bytes, size: int) -> str:
    found = Archive()
    for at in range(0, len(data), size):
        found.take(data[at : at + size])
    return found.fault()


@pytest.mark.parametrize("version", VERSIONS)
@given(size=st.integers(1, 5000), cut=st.integers(1))
def test_whole_is_whole_and_cut_is_cut_in_whatever_pieces(version: tuple[int, int], size: int, cut: int) -> None:
    data = archive(version)
    assert fault(data, size) == ""
    assert "cut short" in fault(data[: -(cut % (len(data) - 1)) - 1], size)


def test_every_cut_is_seen() -> None:
    data = archive((1, 14))
    assert [end for end in range(len(data)) if not fault(data[:end], 1 << 20)] == []


def test_a_later_version_of_the_format_is_left_to_whoever_restores_it() -> None:
    assert fault(b"PGDMP\x01\x63\x00\x04\x08\x01" + bytes(100), 7) == ""


def test_a_banner_before_the_archive_is_seen() -> None:
    assert "something else writes" in fault(b"Welcome!\n" + archive((1, 14)), 1000)
