"""Shell patterns of paths as regular expressions: `*`, `?` and `[a-z]` within a name, `**/` for any folders."""

import re

from tasks.errors import UsageError

SPECIAL = "*?["
_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)
_WILD = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def special(text: str) -> bool:
    """Return whether a text has a character that makes it a pattern."""
    return any(each in text for each in SPECIAL)


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern. Raises UsageError for a range that goes backwards."""
    found = "".join(map(_piece, _PIECE.findall(pattern)))
    try:
        re.compile(found)
    except re.error:
        raise UsageError(f"the pattern {pattern!r} has a range that goes backwards", "write [a-z], not [z-a]") from None
    return found


def fixed(pattern: str) -> str:
    """Return the longest text that everything which matches a pattern contains."""
    runs = [""]
    for piece in _PIECE.findall(pattern):
        if len(piece) > 1 or piece in _WILD:
            runs.append("")
        else:
            runs[-1] += piece
    return max(runs, key=len)


def _piece(text: str) -> str:
    if text in _WILD:
        return _WILD[text]
    if len(text) == 1:
        return re.escape(text)
    within, negated = text[1:-1], text[1] in "!^"
    letters = (within[1:] if negated else within).replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
    letters = re.sub(r"([&~|])(?=\1)", r"\\\1", letters)
    return f"(?!/)[{'^' if negated else ''}{letters}]" if letters else re.escape(text)
