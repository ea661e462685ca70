"""Values of the inventory, for any text."""

import re
import shlex
from datetime import timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inventory import values
from tasks.inventory.errors import nearest, shown

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@given(st.integers(1, 999_999), st.sampled_from("smhdw"))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert values.read_duration(f"{number}{unit}") == timedelta(seconds=number * UNITS[unit])


@given(st.text())
def test_other_texts_are_no_durations(text: str) -> None:
    if re.fullmatch("[1-9][0-9]{0,5}[smhdw]", text, re.ASCII):
        return
    with pytest.raises(ValueError, match="a whole number and a unit"):
        values.read_duration(text)


@given(st.text() | st.text("abz09_.-", max_size=70))
def test_a_name_is_safe_in_a_path_an_archive_and_a_command(text: str) -> None:
    try:
        name = values.read_app_name(text)
    except ValueError:
        return
    assert name == text
    assert PurePosixPath("/base", name).parent == PurePosixPath("/base")
    assert shlex.quote(name) == name
    assert ".." not in name
    assert not name.startswith(("-", "."))
    assert len(name) <= 64


@given(st.from_regex("[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True))
def test_every_plain_name_is_allowed(name: str) -> None:
    if name not in values.RESERVED:
        assert values.read_app_name(name) == name


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1).filter(lambda words: words[0].strip()))
def test_words_survive_quoting_and_splitting(words: list[str]) -> None:
    assert values.read_words(words) == tuple(words)
    if not values.SHELL_OPERATORS.intersection(words):
        assert values.read_words(shlex.join(words)) == tuple(words)


@given(st.text())
def test_a_host_path_is_absolute_and_stays_what_it_is(text: str) -> None:
    try:
        path = values.read_host_path("/" + text)
    except ValueError:
        return
    assert path.startswith("/")
    assert not path.startswith("//")
    assert path == "/" or not path.endswith("/")
    assert PurePosixPath("/" + text.lstrip("/")) == PurePosixPath(path)
    assert values.read_host_path(path) == path


@given(st.text())
def test_a_relative_directory_stays_inside(text: str) -> None:
    try:
        path = values.read_relative(text)
    except ValueError:
        return
    assert PurePosixPath("/home", path).is_relative_to("/home")
    assert ".." not in PurePosixPath(path).parts
    assert not path.startswith(("-", "~", "/"))


@given(st.text())
def test_a_host_is_never_an_option_and_needs_no_quotes(text: str) -> None:
    try:
        host = values.read_host(text)
    except ValueError:
        return
    assert not host.startswith("-")
    assert not host.rpartition("@")[2].startswith("-")
    assert not re.search(r"[\s'\"$`\\;&|<>()*?]", host)


@pytest.mark.parametrize(
    "host", ["local", "shop", "root@shop.example.org", "a.b-c_d", "u1-sub1@h", "root@2001:db8::1", "user@realm@host"]
)
def test_hosts_as_in_ssh(host: str) -> None:
    assert values.read_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "lz4",
        "zstd",
        "zstd,3",
        "zstd,22",
        "zlib,9",
        "lzma",
        "auto,lzma,6",
        "auto,zstd",
        "obfuscate,3,auto,zstd,5",
    ],
)
def test_compressions_that_borg_knows(text: str) -> None:
    assert re.fullmatch(values.COMPRESSION, text)


def test_chunk_sizes() -> None:
    assert values.read_chunk_size("auto") is None
    assert values.read_chunk_size("16KiB") == 16 * 1024
    assert values.read_chunk_size("1024KiB") == 1024 * 1024


def test_where_a_key_stands() -> None:
    assert shown(("storages", "box", "user")) == "storages.box.user"
    assert shown(("files", "paths", 1)) == "files.paths[1]"
    assert shown(("mariadb", "password", "hunter2")) == "mariadb.password"
    assert shown(("mariadb", "password:hunter2")) == "mariadb.password..."
    assert shown(()) == ""


def test_the_nearest_name() -> None:
    assert nearest("shpo", ["shop", "blog"]) == "; did you mean shop?"
    assert nearest("zzz", ["shop", "blog"]) == "; known: shop, blog"
    assert nearest("shop", []) == ""
