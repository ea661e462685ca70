"""borg's exclude patterns, matched as borg does. Part of `paths.py`: standard library only, Python 3.8 or later.

Based on `borg help patterns` and on the behaviour of borg 1.2.4 and 1.4.5; a test compares it with both. A path is
matched without its leading slash, and, except for `pf` and `re`, with a trailing one.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable

Matches = Callable[[str], bool]
STYLES = ("fm", "sh", "re", "pp", "pf")


class Excludes:
    """All exclude patterns of an app."""

    def __init__(self, patterns: list[str]) -> None:
        self.patterns = [matcher(pattern) for pattern in patterns]

    def match(self, path: str) -> bool:
        """Return whether borg excludes this absolute path, regardless of the folders above it."""
        inside = path.lstrip("/")
        return any(matches(inside) for matches in self.patterns)


def split(pattern: str) -> tuple[str, str]:
    """Return the style of a pattern and the rest. borg takes two letters or digits before a colon as a style."""
    if len(pattern) > 2 and pattern[2] == ":" and pattern[:2].isalnum():
        return pattern[:2], pattern[3:]
    return "fm", pattern


def literal(path: str) -> str:
    """Escape a path as a pattern with wildcards that only matches that path."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def matcher(pattern: str) -> Matches:
    """Return a function that matches a path without leading slash. Raises ValueError, re.error."""
    style, text = split(pattern)
    if style == "re":
        expression = re.compile(text)
        return lambda path: expression.search(path) is not None
    if style == "pf":
        full = os.path.normpath(text).lstrip("/")
        return lambda path: path == full
    if style == "pp":
        prefix = (os.path.normpath(text).rstrip("/") + "/").lstrip("/")
        return lambda path: (path + "/").startswith(prefix)
    if style not in STYLES:
        raise ValueError(f"unknown pattern style {style}")
    return globbing(style, text)


def globbing(style: str, text: str) -> Matches:
    """Return the matcher of a pattern with wildcards; with a trailing slash it only matches a folder's contents."""
    below = "*" if style == "fm" else "**/*"
    plain = os.path.normpath(text)
    whole = plain.rstrip("/") + "/" + below + "/" if text.endswith("/") else plain + "/" + below
    whole = whole.lstrip("/")
    expression = re.compile(fnmatch.translate(whole) if style == "fm" else shell(whole))
    return lambda path: expression.match(path + "/") is not None


def shell(pattern: str) -> str:
    """Return the regular expression of a pattern in which `*` stops at a slash, and `**/` matches any folders."""
    parts = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            parts.append("(?:[^/]*/)*")
            at += 3
        elif pattern[at] == "[":
            part, at = bracket(pattern, at)
            parts.append(part)
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at]) or re.escape(pattern[at]))
            at += 1
    return "(?ms)" + "".join(parts) + r"\Z"


def bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return the regular expression of a bracket expression, and the position after it."""
    start = at + 1
    end = start + (1 if pattern.startswith("!", start) else 0)
    end = pattern.find("]", end + (1 if pattern.startswith("]", end) else 0))
    if end < 0:
        return r"\[", start
    stuff = pattern[start:end].replace("\\", "\\\\")
    if stuff.startswith("!"):
        stuff = "^" + stuff[1:]
    elif stuff.startswith("^"):
        stuff = "\\" + stuff
    return "[" + stuff + "]", end + 1
