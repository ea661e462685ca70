"""A borgmatic configuration, read as data with the line of each key; nothing in it is run, included or looked up.

Keys and their meaning are those of borgmatic 2.1.10's schema and of the sections (`location:`, `storage:`, ...) that it
had before 1.8. The file is bounded and typed by `tasks.inventory.document`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.errors import UsageError
from tasks.inventory.document import Data, Document, read

SECTIONS = ("location", "storage", "retention", "consistency", "output", "hooks")  # before borgmatic 1.8
INCLUDE = re.compile(r"(?m)^[^#\n]*?(?:^|[\s:\[{,-])!(?P<tag>include|retain|omit)\b")
ENVIRONMENT = re.compile(r"\$\{")
MERGED = "`borgmatic config validate --show` prints it with all includes: import what that prints"
EMPTY = (
    "is empty: write"  # what `read` says of a key without a value, such as `zfs:`, by which borgmatic sets a default
)
LONGEST = 4096  # characters that a constant may add to a text: constants in constants could grow without end
Level = Literal["carried", "needless", "left"]


@dataclass(frozen=True)
class Note:
    """What became of a key: `carried` over, `needless` here, or `left` to a person; `line` is in borgmatic's file."""

    line: int
    key: str
    level: Level
    text: str


@dataclass
class Configuration:
    """The keys of a configuration by name, with constants put in; `notes` collects what becomes of each."""

    file: Path
    document: Document
    values: dict[str, Data] = field(default_factory=dict)
    places: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def line(self, key: str, *inside: str | int) -> int:
        """Return the line of a key, or of something in its value."""
        return self.document.line((*self.places.get(key, ()), *inside))

    def note(self, level: Level, key: str, text: str, *inside: str | int) -> None:
        """Record what becomes of a key."""
        self.notes.append(Note(self.line(key, *inside), key, level, text))

    def take(self, key: str) -> Data:
        """Return a key's value, None if it is not there."""
        return self.values.get(key)

    def texts(self, key: str) -> list[tuple[int, str]]:
        """Return a list of texts, each with its place in it; one text alone is a list of one. Raises UsageError."""
        value = self.values.get(key)
        items = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(items, list):
            raise self.wrong(key, "must be a list of texts")
        return [(at, self._text(key, each)) for at, each in enumerate(items) if each is not None]

    def _text(self, key: str, value: Data) -> str:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        raise self.wrong(key, "must be a list of texts")

    def text(self, key: str) -> str | None:
        """Return a text; None if it is not there. Raises UsageError."""
        value = self.values.get(key)
        return None if value is None else self._text(key, value)

    def number(self, key: str) -> int | None:
        """Return a whole number; None if it is not there. Raises UsageError."""
        value = self.values.get(key)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):  # from a constant
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self.wrong(key, "must be a whole number")

    def truth(self, key: str) -> bool | None:
        """Return true or false; None if it is not there. Raises UsageError."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong(key, "must be true or false")

    def mappings(self, key: str) -> list[tuple[int, Mapping[str, Data]]]:
        """Return a list of mappings, each with its line. Raises UsageError."""
        value = self.values.get(key)
        items = [] if value is None else value
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise self.wrong(key, "must be a list of `key: value` groups")
        return [(self.line(key, at), each) for at, each in enumerate(items) if isinstance(each, dict)]

    def wrong(self, key: str, what: str) -> UsageError:
        """Return the error for a value of another type than borgmatic takes."""
        return UsageError(f"{self.file}:{self.line(key)}: {key}: {what}", "nothing was written")


def load(file: Path) -> Configuration:
    """Return the keys of a borgmatic configuration. Raises UsageError with one sentence for what is none."""
    document = read(file)
    document.problems = [each for each in document.problems if not each.text.startswith(EMPTY)]
    if document.problems:
        raise _unreadable(file, document)
    if not isinstance(document.data, dict):
        raise UsageError(f"{file}: is not a borgmatic configuration: it must hold `key: value` lines")
    found = Configuration(file, document)
    for key, value in document.data.items():
        for name, inner, place in _flat(found, key, value):
            if name in found.values:
                raise UsageError(f"{file}:{document.line(place)}: {name}: is there twice, in two sections")
            found.values[name], found.places[name] = inner, place
    constants = found.values.pop("constants", None)
    if constants is not None:
        if not isinstance(constants, dict):
            raise found.wrong("constants", "must hold `name: value` lines")
        names = {f"{{{name}}}": str(value) for name, value in constants.items() if isinstance(value, str | int | float)}
        found.values = {key: _filled(value, names) for key, value in found.values.items()}
    return found


def _flat(found: Configuration, key: str, value: Data) -> Iterator[tuple[str, Data, tuple[str | int, ...]]]:
    """Yield the keys of an old section, or the key itself."""
    if key not in SECTIONS:
        yield key, value, (key,)
        return
    if not isinstance(value, dict):
        raise UsageError(f"{found.file}:{found.document.line((key,))}: {key}: must hold `key: value` lines")
    yield from ((name, inner, (key, name)) for name, inner in value.items())


def _unreadable(file: Path, document: Document) -> UsageError:
    first = document.problems[0]
    try:
        with file.open("rb") as opened:
            text = opened.read(1_000_000).decode("utf-8", "replace")
    except OSError:
        text = ""
    if included := INCLUDE.search(text):
        line = text.count("\n", 0, included.start("tag")) + 1
        return UsageError(f"{file}:{line}: has !{included['tag']}, and other files are not read", MERGED)
    where = f"{file}:{first.line}" if first.line else str(file)
    return UsageError(f"{where}: {first.text}", "nothing was written")


def _filled(value: Data, names: Mapping[str, str]) -> Data:
    """Return a value with borgmatic's constants in place of their names. Raises UsageError if it would be very long."""
    if isinstance(value, str):
        longest = len(value) + LONGEST
        for name, text in names.items():
            if len(value) + value.count(name) * len(text) > longest:
                raise UsageError(f"{name} of `constants` makes a text of more than {LONGEST} characters")
            value = value.replace(name, text)
        return value
    if isinstance(value, list):
        return [_filled(each, names) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    return value
