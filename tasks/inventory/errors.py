"""What can be wrong with an inventory, shown all at once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tasks.errors import UsageError

# What stands below these keys may be a secret written out by mistake: it is never shown, not even as a key.
SECRET_KEYS = frozenset({"passphrase", "password", "token", "access_key", "secret_key"})

WORD = re.compile(r"[A-Za-z0-9_.-]{0,64}")

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One fault: where it stands (`line` from 1, 0 when the file as a whole is meant), and what is wrong."""

    file: Path
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class InventoryError(UsageError):
    """The inventory cannot be used. `problems` holds every fault found, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = "1 error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        super().__init__("\n".join([f"the inventory has {count}:", *(f"  {problem}" for problem in self.problems)]))


def shown(path: KeyPath) -> str:
    """Return a key's path as people write it, `storages.box.user` or `paths[0]`.

    It is cut after a secret's key, and inside a key that has more than a word: `{password:hunter2}` is one such key.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        word = WORD.match(part)[0]  # type: ignore[index]  # it matches at least nothing
        text += ("." if text else "") + word + ("..." if word != part else "")
        if word in SECRET_KEYS or word != part:
            break
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest known name, else `; known: ...`, else nothing when none is known."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(names)}" if names else ""
