"""Patterns of paths mean what a shell means by them."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.globs import expression, fixed
from tasks.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/etc/*.conf", "/etc/a.conf", "/etc/sub/a.conf"),
        ("/etc/**/*.conf", "/etc/a.conf", "/srv/a.conf"),
        ("/etc/**/*.conf", "/etc/sub/deep/a.conf", "/etc/sub/a.confs"),
        ("/log/[0-9]?", "/log/7x", "/log/x7"),
        ("/log/[!0-9]", "/log/x", "/log/7"),
        ("/a[.]b", "/a.b", "/a/b"),
        ("/odd[", "/odd[", "/odd"),
        ("/a[]]b", "/a]b", "/a[b"),
        ("/two\nlines*", "/two\nlines and more", "/two"),
        ("/[a&&b]", "/&", "/c"),
    ],
)
def test_a_pattern_matches_whole_paths(pattern: str, yes: str, no: str) -> None:
    found = expression(pattern)
    assert re.fullmatch(found, yes, re.DOTALL)
    assert not re.fullmatch(found, no, re.DOTALL)


@given(st.text("ab*?[]!-^\\.~|&", max_size=12), st.text("ab[]!-^\\.~|&", max_size=6))
def test_within_a_name_it_is_what_python_takes_for_a_shell_pattern(pattern: str, name: str) -> None:
    try:
        found = expression(pattern)
    except UsageError as error:
        assert "backwards" in str(error)  # noqa: PT017
        return
    if re.fullmatch(found, name):
        assert fixed(pattern) in name
    if "**" not in pattern and "^" not in pattern and "[" not in pattern:
        assert bool(re.fullmatch(found, name)) == fnmatchcase(name, pattern)
