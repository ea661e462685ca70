"""In which archives a file is, and which versions of it there are: a search through what archives hold.

An entry is a line of `client.entries`: type, size, time of change, path. What a host's archives hold is untrusted: an
entry of another form is left out, and paths are bytes until they are shown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.borg import globs
from tasks.borg.host.entries import shown
from tasks.errors import UsageError

_ENTRY = re.compile(rb"([-dlpcbs]) ([0-9]{1,18}) ([0-9T:.-]{10,40}) ([^\0]+)")


@dataclass(frozen=True)
class Version:
    """One content of a file: size in bytes, time of its last change, SHA-256 if it was asked for, and the archives that
    hold it, as numbers in the order of the search.
    """

    kind: str
    size: int
    changed: datetime | None
    archives: tuple[int, ...]
    sha256: str | None = None


@dataclass
class Search:
    """Collects what matches a pattern, archive by archive.

    A pattern that begins with / is a whole path; any other one is the end of a path: a name, or a name with folders
    before it. Raises UsageError for an impossible pattern.
    """

    pattern: str
    found: dict[bytes, dict[tuple[bytes, ...], list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = self.pattern.rstrip("/").lstrip("/") if self.pattern.startswith("/") else self.pattern.rstrip("/")
        if not text or "\0" in text:
            raise UsageError(f"the pattern {self.pattern!r} names nothing", "give a name, as app.conf or '*.conf'")
        before = "" if self.pattern.startswith("/") else "(?:.*/)?"
        self._path = re.compile(f"{before}{globs.expression(text)}", re.DOTALL)
        self._fixed = globs.fixed(text).encode("utf-8", "surrogateescape")

    def look(self, number: int, entries: bytes) -> None:
        """Search the entries of one archive."""
        for kind, size, changed, path in self._candidates(entries):
            if self._path.fullmatch(path.decode("utf-8", "surrogateescape")):
                self.found.setdefault(path, {}).setdefault((kind, size, changed), []).append(number)

    def _candidates(self, entries: bytes) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
        """Yield the entries with the longest fixed part of the pattern: to look for that alone is much faster."""
        at = entries.find(self._fixed)
        while at >= 0:
            start, end = entries.rfind(b"\0", 0, at) + 1, entries.find(b"\0", at)
            end = len(entries) if end < 0 else end
            if entry := _ENTRY.fullmatch(entries, start, end):
                yield entry[1], entry[2], entry[3], entry[4]
            at = entries.find(self._fixed, end + 1) if end < len(entries) else -1

    def split(self, sums: Mapping[tuple[int, bytes], str]) -> None:
        """Tell versions of one size and time apart by their checksums, by archive and path."""
        for path, versions in self.found.items():
            again: dict[tuple[bytes, ...], list[int]] = {}
            for head, numbers in versions.items():
                for number in numbers:
                    again.setdefault((*head, sums.get((number, path), "").encode()), []).append(number)
            self.found[path] = again


def versions(found: Mapping[tuple[bytes, ...], list[int]]) -> list[Version]:
    """Return the versions of one file, that of the first archive first."""
    every = [
        Version(
            kind.decode(),
            int(size),
            _time(changed),
            tuple(sorted(numbers)),
            (rest[0].decode() or None) if rest else None,
        )
        for (kind, size, changed, *rest), numbers in found.items()
    ]
    return sorted(every, key=lambda version: version.archives)


def _time(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode()).replace(tzinfo=UTC)
    except ValueError:
        return None


def path_of(raw: bytes) -> str:
    """Return a path for people, absolute, without characters that move a cursor."""
    return f"/{shown(raw)}"
