"""Files of patterns, as `borg create --patterns-from` reads them. Part of `paths.py`: standard library only, Python 3.8
or later.

Based on `load_pattern_file` in borg's `patterns.py`, the same in 1.2.4 and 1.4.5. Roots (`R`) are refused: what is to
be saved stands in the inventory, where it is checked.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from tasks.borg.host.patterns import STYLES, matcher, split, styled

LARGEST = 256 * 1024  # bytes: the patterns become words of borg's, for which the kernel has some 2 MB


class Written(NamedTuple):
    """A pattern: where it is written, as what, its sign, and the pattern with its style."""

    where: str
    text: str
    sign: str
    pattern: str


class PatternsError(Exception):
    """A file of patterns that cannot be used; the text names the file and the line."""


def from_file(path: str) -> list[Written]:
    """Return the patterns of a file. Raises PatternsError."""
    style, found = "sh", []
    for number, line in enumerate(content(path).split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        where = f"{path}, line {number}"
        sign, pattern = text[0], text[1:].lstrip()
        if sign in "Pp":
            style = named(where, pattern)
        else:
            found.append(Written(where, text, sign, checked(where, sign, styled(pattern, style))))
    return found


def content(path: str) -> str:
    """Return a file's text. Raises PatternsError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise PatternsError(f"{path} is not a file")
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise PatternsError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise PatternsError(f"{path} is larger than {LARGEST // 1024} KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PatternsError(f"{path}, line {line}: is not UTF-8") from None


def named(where: str, style: str) -> str:
    """Return the style that a line `P STYLE` sets for those after it. Raises PatternsError."""
    if style not in STYLES:
        raise PatternsError(f"{where}: has the style {style}, which borg does not know: one of {', '.join(STYLES)}")
    return style


def checked(where: str, sign: str, pattern: str) -> str:
    """Return a pattern that borg understands. Raises PatternsError."""
    style, text = split(pattern)
    if sign in "Rr":
        raise PatternsError(f"{where}: names a root; name it under `files.paths` in the app's file instead")
    if sign not in "+-!":
        raise PatternsError(f"{where}: begins with {sign}, and a pattern with one of +, - and !")
    if not text:
        raise PatternsError(f"{where}: has no pattern after {sign}")
    named(where, style)
    return compiled(where, pattern)


def compiled(where: str, pattern: str) -> str:
    """Return a pattern that the host's Python can match; it may be an older one. Raises PatternsError."""
    try:
        matcher(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        what = "regular expression" if pattern.startswith("re:") else "pattern"
        raise PatternsError(f"{where}: has a {what} that cannot be read: {error}") from None
    return pattern
