"""Reads many repositories at once: the mark that shows whether each has changed, and its records, without borg.

A Borg 1 repository's folder has `index.N` and `integrity.N`, where N is the last transaction's number. Every change of
archives results in another N, reading does not (tried, borg 1.2.4 and 1.4.5). A changed passphrase or key changes only
`config`; a repository that was rolled back may reach the same N again, with other digests in `integrity.N`.
"""

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.errors import AppError
from tasks.remote.files import Files, FilesError

_INDEX = re.compile(r"index\.([0-9]{1,10})")
Choose = Callable[[list[str]], list[str]]
Read = Mapping[str, bytes | FilesError]


@dataclass(frozen=True)
class Mark:
    """Changes whenever the repository does: its last transaction, the bytes of its integrity file (hexadecimal), and
    the SHA-256 of its config, which contains the repository's id and key.
    """

    transaction: int
    integrity: str
    config: str


def mark(transaction: int, integrity: bytes, config: bytes) -> Mark:
    """Return the mark of a repository with this last transaction and the bytes of these files."""
    return Mark(transaction, integrity.hex(), hashlib.sha256(config).hexdigest())


@dataclass(frozen=True)
class Place:
    """The folders of one app's repository and records, and the records that need not be read again."""

    repository: str
    records: str
    known: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What was found of one app. Without a mark, there is no repository, or it is in the middle of a change.

    `names` are all files in the folder of records, also those not read.
    """

    mark: Mark | None
    records: Mapping[str, bytes] | AppError
    names: Sequence[str] = ()


def survey(files: Files, places: Sequence[Place], choose: Choose) -> list[Seen]:
    """Return what is in each place; `choose` selects from the names in a folder of records.

    Raises FilesError.
    """
    names = files.names_each(folder for place in places for folder in (place.repository, place.records))
    wanted = [_Wanted(place, names, choose) for place in places]
    read = files.read_each(path for each in wanted for path in each.paths())
    return [Seen(each.mark(read), each.found_records(read), each.names) for each in wanted]


def marks(files: Files, repositories: Sequence[str]) -> list[Mark | None]:
    """Return the mark of each repository. Raises FilesError."""
    names = files.names_each(repositories)
    wanted = [_Wanted(Place(folder, folder), names, lambda _: []) for folder in repositories]
    read = files.read_each(path for each in wanted for path in each.paths())
    return [each.mark(read) for each in wanted]


class _Wanted:
    """The files to read of one place."""

    def __init__(self, place: Place, names: Mapping[str, list[str] | FilesError], choose: Choose) -> None:
        self.place = place
        self.transaction = _transaction(names[place.repository])
        self.records = names[place.records]
        self.names: Sequence[str] = ()
        if not isinstance(self.records, FilesError):
            self.names, self.records = self.records, choose(self.records)

    def paths(self) -> list[str]:
        """Return their paths."""
        paths = []
        if self.transaction is not None:
            paths += [self._config(), self._integrity()]
        if not isinstance(self.records, FilesError):
            paths += [self._record(name) for name in self.records if name not in self.place.known]
        return paths

    def mark(self, read: Read) -> Mark | None:
        """Return the repository's mark, None if a part of it could not be read."""
        if self.transaction is None:
            return None
        config, integrity = read[self._config()], read[self._integrity()]
        if isinstance(config, FilesError) or isinstance(integrity, FilesError):
            return None
        return mark(self.transaction, integrity, config)

    def found_records(self, read: Read) -> Mapping[str, bytes] | AppError:
        """Return the records' contents by name, or the error. A missing folder means no records."""
        if isinstance(self.records, FilesError):
            return {} if self.records.missing else self.records
        found = {}
        for name in self.records:
            text = self.place.known[name] if name in self.place.known else read[self._record(name)]
            if not isinstance(text, FilesError):
                found[name] = text
            elif not text.missing:  # a file deleted in the meantime was superseded
                return text
        return found

    def _config(self) -> str:
        return posixpath.join(self.place.repository, "config")

    def _integrity(self) -> str:
        return posixpath.join(self.place.repository, f"integrity.{self.transaction}")

    def _record(self, name: str) -> str:
        return posixpath.join(self.place.records, name)


def _transaction(names: list[str] | FilesError) -> int | None:
    """Return the highest N of `index.N`: for a moment there may be two (borg renames, then removes)."""
    if isinstance(names, FilesError):
        return None
    return max((int(found[1]) for name in names if (found := _INDEX.fullmatch(name))), default=None)
