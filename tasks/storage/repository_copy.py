"""Copies a repository's folder to another storage, byte by byte, through this machine.

A Borg 1 repository is a folder: `data/N/M` are segments, which never change once they are complete; beside it lie
`config`, `nonce`, `hints.N`, `index.N`, `integrity.N`, `transactions`. borg's lock stays where it is. Whoever copies
holds that lock. Files appear under their names when they are complete, so a copy that was cut off goes on.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.errors import AppError
from tasks.remote.files import UNFINISHED, Files, FilesError, Pieces
from tasks.storage import set_aside

PIECE = 8 << 20  # bytes in memory at a time
LOCKS = ("lock.exclusive", "lock.roster")
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Folder:
    """A repository's folder in a storage."""

    files: Pieces
    path: str

    @classmethod
    def of(cls, files: Files, path: str) -> "Folder":
        """Return the folder. Raises AppError where files can only be read as a whole."""
        if not isinstance(files, Pieces):
            raise AppError(f"{path} lies in a storage whose files cannot be read in pieces")
        return cls(files, path)

    def sizes(self) -> Mapping[str, int]:
        """Return the size in bytes of each file, by its path below the folder; empty without a folder.

        Raises FilesError.
        """
        if not self.files.exists(self.path):
            return {}
        paths = [name for name in self.files.names(self.path) if name not in (*LOCKS, "data")]
        data = posixpath.join(self.path, "data")
        parts = [posixpath.join(data, part) for part in (self.files.names(data) if self.files.exists(data) else ())]
        for part, names in self.files.names_each(parts).items():
            if isinstance(names, FilesError):
                raise names
            paths += [posixpath.relpath(posixpath.join(part, name), self.path) for name in names]
        found = self.files.sizes_each([posixpath.join(self.path, path) for path in paths])
        return {posixpath.relpath(path, self.path): _known(size) for path, size in found.items()}


def copy(old: Folder, new: Folder, tell: Tell) -> None:
    """Make `new` what `old` is; complete segments that are there stay. `tell` gets the bytes copied so far, and of all.

    Raises FilesError; AppError if `old` changed meanwhile.
    """
    source_sizes, there = old.sizes(), new.sizes()
    for path in there.keys() - source_sizes.keys():
        new.files.remove(posixpath.join(new.path, path))
    done, of = 0, sum(source_sizes.values())
    for folder in {posixpath.dirname(posixpath.join(new.path, path)) for path in source_sizes}:
        new.files.make_directory(folder)
    for path, size in sorted(source_sizes.items()):
        if not (path.startswith("data/") and there.get(path) == size):
            _copy_file(old, new, path, size)
            if path in there:
                new.files.remove(posixpath.join(new.path, path))
            new.files.rename(posixpath.join(new.path, path + UNFINISHED), posixpath.join(new.path, path))
        done += size
        tell(done, of)
    if old.sizes() != source_sizes or new.sizes() != source_sizes:
        raise AppError(f"{old.path} was changed while it was copied", "run the same command again: it goes on")


def remove(folder: Folder) -> None:
    """Delete a copy for good. Raises FilesError."""
    if folder.files.exists(folder.path):
        set_aside.remove(folder.files, folder.path)


def _copy_file(old: Folder, new: Folder, path: str, size: int) -> None:
    source, target = posixpath.join(old.path, path), posixpath.join(new.path, path + UNFINISHED)
    at = 0
    while at < size or at == 0:
        piece = old.files.read_piece(source, at, PIECE)
        new.files.write_piece(target, at, piece)
        at += len(piece)
        if not piece:
            return


def _known(size: int | FilesError) -> int:
    if isinstance(size, FilesError):
        raise size
    return size
