"""The entries of an archive, and whether they are safe to extract.

An archive is not trusted: anybody with a host's key can make any (`borg import-tar`). borg 1.2 follows symbolic links
in the parent folders of what it writes, so an archive with a link to /etc and a file below it writes into /etc. Such an
archive is refused before anything is extracted. `borg create` never makes one.

borg prints bytes of a name that are not UTF-8 as `?` (1.2.4 and 1.4.5, in every kind of listing): see `Found`.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Source(Protocol):
        """A readable stream of bytes."""

        def read(self, size: int, /) -> bytes:
            """Return at most `size` bytes; empty at the end."""


HEAD = "{type}{mode} {uid} {gid} {num_chunks} {size} {bpath}{NUL}"
FORMAT = f"{HEAD}{{source}}{{NUL}}"
PIECE = 1 << 20
LONGEST = 64 << 20  # bytes of one entry: with more it is not a listing
MOST_LINKS = 5_000_000  # symbolic links of an archive; each takes about 100 bytes of memory
NAMED = 5  # entries of each kind that are named
KINDS = b"-dlpcbs"


class Malformed(Exception):  # noqa: N818
    """The listing does not have the requested format."""


class Entry(NamedTuple):
    """One entry; `kind` is the letter of `ls -l`, `source` the target of a link, `linked` whether it is a hard link.

    `owner` is the number of its user and that of its group, None if the archive has none.
    """

    kind: int
    setid: bool
    linked: bool
    chunks: int
    size: int
    path: bytes
    source: bytes
    owner: tuple[int, int] | None


def entries(stream: Source) -> Iterator[Entry]:
    """Yield the entries of a listing made with FORMAT, or HEAD and another field. Raises Malformed."""
    head = None
    for part in _parts(stream):
        if head is None:
            head = part
        else:
            yield _entry(head, part)
            head = None
    if head is not None:
        raise Malformed("it ends in the middle of an entry")


def _parts(stream: Source) -> Iterator[bytes]:
    rest = b""
    while True:
        piece = stream.read(PIECE)
        if not piece:
            break
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole
        if len(rest) > LONGEST:
            raise Malformed("an entry without end")
    if rest:
        raise Malformed("it ends in the middle of an entry")


def _entry(head: bytes, source: bytes) -> Entry:
    try:
        mode, user, group, chunks, size, path = head.split(b" ", 5)
        kind, letters = mode[0], mode[1:]
        setid = letters[3:4] in (b"s", b"S") or letters[6:7] in (b"s", b"S")
        owner = (int(user), int(group)) if user.isdigit() and group.isdigit() else None
        return Entry(kind, setid, letters[:1] == b"h", int(chunks), int(size), path, source, owner)
    except (ValueError, IndexError):
        raise Malformed(f"an entry {shown(head[:200])}") from None


def shown(path: bytes) -> str:
    """Return a path without characters that move a cursor or break the line; bytes that are not UTF-8 are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def stripped(path: bytes, strip: int) -> bytes:
    """Return a path without its first `strip` folders, as borg extracts it."""
    return b"/".join(path.split(b"/")[strip:])


class Named:
    """A count, with the first few names."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, text: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(text)


class Look:
    """What is learnt of an archive while its listing is read. Memory depends only on the number of symbolic links.

    `wanted` are paths, without leading slash, of which at least one entry each is expected; `strip` is the number of
    leading folders left out; `folding` is set if the target file system ignores case.
    """

    def __init__(self, wanted: list[bytes], strip: int = 0, *, folding: bool = False) -> None:
        self.wanted, self.strip, self.folding = wanted, strip, folding
        self.count = self.bytes = self.inodes = self.longest = self.name = 0
        self.hostile, self.devices, self.setid, self.parted = Named(), Named(), Named(), Named()
        self.found: set[bytes] = set()
        self._key = os.urandom(16)
        self._links: set[bytes] = set()
        self._clean = b"/"  # a folder known to have no link above it

    def see(self, entry: Entry) -> None:
        """Process one entry."""
        self.count += 1
        self.inodes += not entry.linked
        self.bytes += 0 if entry.linked else entry.size if entry.kind == ord("-") else 0
        kept = stripped(entry.path, self.strip)
        self.longest = max(self.longest, len(kept))
        self.name = max(self.name, *map(len, entry.path.split(b"/")))
        self._find(entry)
        if fault := self._fault(entry):
            self.hostile.add(f"{shown(entry.path)} {fault}")
        if entry.kind == ord("l"):
            self._remember(entry.path)
        if entry.kind in b"bc":
            self.devices.add(shown(entry.path))
        if entry.setid and entry.kind == ord("-"):
            self.setid.add(shown(entry.path))

    def _find(self, entry: Entry) -> None:
        own = [path for path in self.wanted if within(entry.path, path)]
        self.found.update(own)
        if entry.linked and self.wanted and not any(within(entry.source, path) for path in self.wanted):
            self.parted.add(shown(entry.path))

    def _fault(self, entry: Entry) -> str:
        """Return why an entry must not be extracted; empty if it is safe."""
        if entry.kind not in KINDS:
            return "is of an unknown kind"
        if not plain(entry.path):
            return "is not a path inside the archive"
        if self._below_link(entry.path):
            return "lies below a link of the same archive"
        if entry.kind != ord("l") and self._digest(entry.path) in self._links:
            return "is a link and something else as well"
        if entry.linked and (not plain(entry.source) or self._through_link(entry.source)):
            return f"is a hard link to {shown(entry.source)}"
        return ""

    def _through_link(self, path: bytes) -> bool:
        return self._digest(path) in self._links or self._below_link(path)

    def _below_link(self, path: bytes) -> bool:
        parent = path.rpartition(b"/")[0]
        if parent in (b"", self._clean):
            return False
        names = parent.split(b"/")
        if any(self._digest(b"/".join(names[:number])) in self._links for number in range(1, len(names) + 1)):
            return True
        self._clean = parent
        return False

    def _remember(self, path: bytes) -> None:
        if len(self._links) > MOST_LINKS:
            raise Malformed(f"more than {MOST_LINKS} symbolic links")
        self._links.add(self._digest(path))
        self._clean = b"/"

    def _digest(self, path: bytes) -> bytes:
        if self.folding:
            text = unicodedata.normalize("NFKC", path.decode("utf-8", "surrogateescape").casefold())
            path = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(path, digest_size=8, key=self._key).digest()


def plain(path: bytes) -> bool:
    """Return whether a path only leads downwards from its start; `.` is the start itself."""
    return path == b"." or not {b"", b".", b".."} & set(path.split(b"/"))


def within(path: bytes, top: bytes) -> bool:
    """Return whether a path is `top` or below it."""
    return path == top or path.startswith(top + b"/")


class Found:
    """Finds listed paths on disk: `top` is the folder into which the archive was extracted."""

    def __init__(self, top: bytes) -> None:
        self.top = top
        self._folder = b""
        self._names: dict[bytes, list[bytes]] = {}

    def all(self, path: bytes) -> Iterator[bytes]:
        """Yield the paths that a listed path may stand for: itself, or else existing names that are listed that way."""
        if b"?" not in path or os.path.lexists(self.top + b"/" + path):
            yield self.top + b"/" + path
            return
        places = [self.top]
        for part in path.split(b"/"):
            places = [place + b"/" + name for place in places for name in self._named(place, part)]
        yield from places

    def _named(self, folder: bytes, shown_as: bytes) -> list[bytes]:
        if b"?" not in shown_as:
            return [shown_as]
        if folder != self._folder:
            self._folder, self._names = folder, {}
            with suppress(OSError):
                for name in map(os.fsencode, os.listdir(os.fsdecode(folder))):  # names as bytes
                    lossy = name.decode("utf-8", "surrogateescape").encode("utf-8", "replace")
                    self._names.setdefault(lossy, []).append(name)
        return self._names.get(shown_as, [])
