"""Texts that every Unicode encoding can write. (Apart from `answers`, whose parser not every command needs.)"""

import re
from collections.abc import Mapping
from typing import Any

_ALONE = re.compile("[\ud800-\udfff]")  # unpaired surrogates: in Python, bytes of a file name that are not UTF-8


def encodable(text: str) -> str:
    r"""Return a text that every Unicode encoding can write: a byte that was not UTF-8 becomes `\xe9`."""
    return _ALONE.sub(_shown, text)


def encodable_in(value: Any) -> Any:
    """Return a value to be written as JSON, with all its texts made `encodable`."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): encodable_in(each) for key, each in value.items()}
    return [encodable_in(each) for each in value] if isinstance(value, list | tuple) else value


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\N{REPLACEMENT CHARACTER}"
