"""Errors in an inventory, reported all at once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tasks.errors import UsageError

# Below these keys, a secret may have been written by mistake: nothing there is ever shown, not even keys.
SECRET_KEYS = frozenset({"passphrase", "password", "token", "access_key", "secret_key"})

WORD = re.compile(r"[A-Za-z0-9_.-]{0,64}")

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One problem: its place (`line` starts at 1, 0 for the file as a whole), and what is wrong."""

    file: Path
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class InventoryError(UsageError):
    """The inventory cannot be used. `problems` lists everything found, ordered by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = "1 error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        super().__init__("\n".join([f"the inventory has {count}:", *(f"  {problem}" for problem in self.problems)]))


class NoInventoryError(UsageError):
    """There is no inventory yet. `mount` is the option of `docker run` that mounts one, empty outside of containers."""

    def __init__(self, folder: Path, mount: str = "") -> None:
        wrong = "is not a folder" if folder.exists() and not folder.is_dir() else ""
        elsewhere = f"mount one with {mount}" if mount else "INVOKE_INVENTORY names another folder"
        super().__init__(
            f"{folder} {wrong}" if wrong else f"there is no inventory in {folder} yet",
            f"`inv init` makes a first one; {elsewhere}",
        )


def shown(path: KeyPath) -> str:
    """Return a key's path as people write it: `storages.box.user` or `paths[0]`.

    It is cut after a secret's key, and a key of more than one word after the first: `{password:hunter2}` is one such
    key.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        word = WORD.match(part)[0]  # type: ignore[index]  # it always matches, if only an empty string
        text += ("." if text else "") + word + ("..." if word != part else "")
        if word in SECRET_KEYS or word != part:
            break
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` with the closest known name, else `; known: X, Y`, else an empty text."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(names)}" if names else ""
