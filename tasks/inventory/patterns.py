"""borg's patterns in an app's file: under `exclude`, and under `patterns` after a sign."""

import re
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from tasks.inventory.values import read_line

STYLES = ("fm", "sh", "re", "pp", "pf")  # `borg help patterns`
# borg takes two letters or digits before a colon as a style.
STYLED = r"(?:fm|sh|pp|pf):[^\n\x00]*|re:(?!(?:\^|\\A)\\?/)[^\n\x00]*"
PATTERN = rf"^(?:{STYLED}|(?![!+-]|[A-Za-z0-9]{{2}}:)[^\n\x00]+)$"
RULE = rf"^[!+-] *(?:{STYLED}|(?! |[A-Za-z0-9]{{2}}:)[^\n\x00]+)$"
TAG = r"^(?!\.\.?$)[^/\n\x00]+$"
FOREIGN = "!+-"
ANCHORED = re.compile(r"re:(?:\^|\\A)\\?/")


def read_pattern(value: object) -> str:
    """Return a borg exclude pattern. Raises ValueError for one that borg would interpret differently.

    Other tools, and borg's own pattern files, put `+`, `-` or `!` before a pattern; borg's `--exclude` takes these as
    part of the name, which then never matches.
    """
    text = read_line(value)
    if text[0] in FOREIGN:
        raise ValueError(
            f"begins with {text[0]}, which borg takes for a part of a name here: every pattern under `exclude` leaves "
            f"out, none takes back in (those under `patterns` can); take it away, or for a name that begins so write "
            f"sh:**/{text}"
        )
    return _checked(text)


def _checked(text: str) -> str:
    if ANCHORED.match(text):
        raise ValueError(
            "never matches: borg compares paths without their first slash, so write re:^ and no / after it"
        )
    if text[2:3] == ":" and text[:2].isalnum():
        _check_style(text[:2], text[3:])
    return text


def _check_style(style: str, rest: str) -> None:
    if style not in STYLES:
        raise ValueError(f"has the style {style}:, which borg does not know: one of {', '.join(STYLES)}")
    if style != "re":
        return
    try:
        re.compile(rest)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"has a regular expression that cannot be read: {error}") from error


def read_rule(value: object) -> str:
    """Return a pattern after its sign, with a blank between. Raises ValueError for one that borg does not understand.

    Without a style it is sh, as in borg's `--pattern`.
    """
    if isinstance(value, list):
        raise ValueError("is a list in YAML: put quotes around it, '- /srv/shop/cache'")  # noqa: TRY004
    text = read_line(value)
    if text[0] in "Rr" and text[1:2].isspace():
        raise ValueError("names a root: name it under `paths`")
    if text[0] in "Pp" and text[1:2].isspace():
        raise ValueError("sets the style of those after it: here each names its own, as in '- re:[.]tmp$'")
    if text[0] not in FOREIGN:
        raise ValueError(f"must begin with +, - or !, and be in quotes: '- {text}'")
    rest = text[1:].lstrip()
    if not rest:
        raise ValueError(f"has no pattern after {text[0]}")
    return f"{text[0]} {_checked(rest)}"


def read_tag(value: object) -> str:
    """Return the name of a file that tags its folder. Raises ValueError."""
    text = read_line(value)
    if "/" in text or text in (".", ".."):
        raise ValueError("must be the name of a file, without a folder")
    return text


Pattern = Annotated[str, PlainValidator(read_pattern), WithJsonSchema({"type": "string", "pattern": PATTERN})]
Rule = Annotated[str, PlainValidator(read_rule), WithJsonSchema({"type": "string", "pattern": RULE})]
Tag = Annotated[str, PlainValidator(read_tag), WithJsonSchema({"type": "string", "pattern": TAG})]
