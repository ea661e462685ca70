"""The search through what archives hold finds exactly what a pattern means, whatever names look like."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.globs import expression
from tasks.borg.versions import Search, versions
from tasks.errors import UsageError

NAMES = st.text("ab.é/\n *?", min_size=1, max_size=8).map(lambda text: text.strip("/") or "a")


def entries(paths: list[str]) -> bytes:
    return b"".join(f"- 5 2026-11-28T05:00:00.5 {path}".encode() + b"\0" for path in paths)


@given(st.lists(NAMES, max_size=8, unique=True), st.text("ab.é/*?", min_size=1, max_size=5))
def test_the_end_of_a_path_is_matched(paths: list[str], pattern: str) -> None:
    text = pattern.strip("/")
    if not text or pattern.startswith("/"):
        return
    search = Search(pattern)
    search.look(0, entries(paths))
    wanted = re.compile(f"(?:.*/)?{expression(text)}", re.DOTALL)
    assert {path.decode() for path in search.found} == {path for path in paths if wanted.fullmatch(path)}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("app.conf", ["etc/app.conf", "etc/shop/app.conf"]),
        ("shop/app.conf", ["etc/shop/app.conf"]),
        ("/etc/app.conf", ["etc/app.conf"]),
        ("/app.conf", []),
        ("caf?", ["caf\xe9"]),
        ("caf[\xe9]", ["caf\xe9"]),
        ("op/app.conf", []),
        ("etc/", ["etc"]),
    ],
)
def test_a_pattern_is_a_name_or_a_path(pattern: str, found: list[str]) -> None:
    search = Search(pattern)
    search.look(0, entries(["etc", "etc/app.conf", "etc/shop/app.conf", "caf\xe9", "etc/my-app.conf"]))
    assert [path.decode() for path in search.found] == found


def test_what_has_another_form_is_left_out_and_times_that_are_none_are_unknown() -> None:
    search = Search("*")
    search.look(
        0, b"- 5 yesterday a\0\0- 5 2026-99-28T05:00:00 b\0rubbish\0- 9" + b"9" * 30 + b" 2026-11-28T05:00:00 c\0"
    )
    assert list(search.found) == [b"b"]
    (version,) = versions(search.found[b"b"])
    assert (version.changed, version.size, version.archives) == (None, 5, (0,))


@pytest.mark.parametrize("pattern", ["", "/", "//", "a\0b", "[z-a]"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        Search(pattern)
