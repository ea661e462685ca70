"""borg's patterns, matched as borg does. Part of `paths.py`: standard library only, Python 3.8 or later.

Based on `borg help patterns` and on the behaviour of borg 1.2.4 and 1.4.5; a test compares it with both. A path is
matched without its leading slash, and, except for `pf` and `re`, with a trailing one.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Callable  # collections.abc has no Callable[...] in Python 3.8

Matches = Callable[[str], bool]
STYLES = ("fm", "sh", "re", "pp", "pf")
ANCHORED = re.compile(r"(?:\^|\\A)\\?/")  # matches nothing: borg compares paths without their first slash


class Rules:
    """An app's patterns in borg's order, each a sign, a blank, and a pattern with its style: `- sh:**/cache`.

    The first that matches a path decides: `+` saves it, `-` leaves it out and still looks below it, `!` leaves it out
    with everything below. A `pf` of exactly this path goes before all others. What no pattern matches is saved.
    """

    def __init__(self, rules: list[str]) -> None:
        self.rules = rules
        self.exact: dict[str, str] = {}
        self.matchers: list[tuple[str, Matches]] = []
        for rule in rules:
            sign, (style, text) = rule[0], split(rule[2:])
            if style == "pf":
                self.exact[os.path.normpath(text).lstrip("/")] = sign
            else:
                self.matchers.append((sign, matcher(rule[2:])))

    def sign(self, path: str) -> str:
        """Return the sign that decides about this absolute path, regardless of the folders above it."""
        inside = path.lstrip("/")
        if inside in self.exact:
            return self.exact[inside]
        return next((sign for sign, matches in self.matchers if matches(inside)), "+")

    def match(self, path: str) -> bool:
        """Return whether borg leaves out this absolute path, regardless of the folders above it."""
        return self.sign(path) != "+"

    def stops(self, path: str) -> bool:
        """Return whether borg leaves out everything below this absolute path as well."""
        return self.sign(path) == "!"

    def takes_back(self, folder: str) -> bool:
        """Return whether borg may save something below a folder that it leaves out."""
        return not self.stops(folder) and any(rule[0] == "+" and can_match(rule[2:], [folder]) for rule in self.rules)


def styled(pattern: str, style: str) -> str:
    """Return a pattern with its style, which is `style` if it names none."""
    own, text = split(pattern)
    return f"{own}:{text}" if text != pattern else f"{style}:{pattern}"


def can_match(pattern: str, roots: list[str]) -> bool:
    """Return whether a pattern could match anything below the roots, judged by the part before its first wildcard."""
    style, text = split(pattern)
    if style == "re":
        return not ANCHORED.match(text)
    wild = min([at for each in "*?[" if (at := text.find(each)) >= 0 and style in ("fm", "sh")], default=len(text))
    fixed = "/" + text[:wild].lstrip("/")
    return any(root.startswith(fixed.rstrip("/")) or fixed.startswith(root.rstrip("/") + "/") for root in roots)


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
