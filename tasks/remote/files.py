"""Files on a host: the few operations that records, keys and marks need. `sftp_files` has those behind SSH."""

import errno
import os
import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from tasks.errors import AppError

UNFINISHED = ".part"  # suffix of the name of a file that is still being written
ALL: Mapping[str, int] = {}  # each file as a whole
Result = TypeVar("Result")


class FilesError(AppError):
    """A file on a host could not be read or written. `missing` is True if it does not exist."""

    def __init__(self, what: str, *, missing: bool = False, transient: bool = False) -> None:
        super().__init__(what, transient=transient)
        self.missing = missing


class Files(Protocol):
    """Paths are the host's; relative ones start in the account's home. Every method raises FilesError.

    `write_new` writes a file completely or not at all, and never replaces an existing one; an interrupted write leaves
    a file whose name ends in `UNFINISHED`. `read_each` and `names_each` return, for each path, what `read` and `names`
    return (`most` by path), or that path's FilesError; over a network they take few round trips however many paths
    there are. `clock` makes and removes a file in a folder, and returns its time by the clock of the machine that keeps
    it, in seconds since the epoch; None if that is this machine's own clock, or if the server does not tell.
    """

    def read(self, path: str, most: int | None = None) -> bytes: ...
    def read_each(self, paths: Iterable[str], most: Mapping[str, int] = ALL) -> Mapping[str, bytes | FilesError]: ...
    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]: ...
    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def names(self, path: str) -> list[str]: ...
    def exists(self, path: str) -> bool: ...
    def clock(self, folder: str) -> float | None: ...
    def rename(self, path: str, new: str) -> None: ...
    def make_directory(self, path: str, mode: int = 0o700) -> None: ...
    def remove(self, path: str) -> None: ...


@runtime_checkable
class Pieces(Files, Protocol):
    """Files too large to be read at once as well. A piece read at or behind the end of a file is empty.

    `write_piece` at 0 begins the file afresh, elsewhere it goes on; what was written is on the disk when it returns.
    """

    def sizes_each(self, paths: Iterable[str]) -> Mapping[str, int | FilesError]: ...
    def read_piece(self, path: str, at: int, size: int) -> bytes: ...
    def write_piece(self, path: str, at: int, data: bytes, mode: int = 0o600) -> None: ...


class LocalFiles:
    """Files of this machine."""

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return a file's bytes, at most the first `most` of them if given."""
        with self._explained("read", path), Path(path).open("rb") as file:
            return file.read(-1 if most is None else most)

    def read_each(self, paths: Iterable[str], most: Mapping[str, int] = ALL) -> Mapping[str, bytes | FilesError]:
        """Return each file's bytes, or its FilesError; of those in `most`, at most so many bytes."""
        return {path: _or_fault(lambda each: self.read(each, most.get(each)), path) for path in paths}

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        """Return the sorted names in each directory, or its FilesError."""
        return {path: _or_fault(self.names, path) for path in paths}

    def sizes_each(self, paths: Iterable[str]) -> Mapping[str, int | FilesError]:
        """Return each file's size in bytes, or its FilesError."""
        return {path: _or_fault(self._size, path) for path in paths}

    def _size(self, path: str) -> int:
        with self._explained("look at", path):
            return Path(path).stat().st_size

    def read_piece(self, path: str, at: int, size: int) -> bytes:
        """Return at most `size` bytes of a file, from byte `at` on."""
        with self._explained("read", path), Path(path).open("rb") as file:
            file.seek(at)
            return file.read(size)

    def write_piece(self, path: str, at: int, data: bytes, mode: int = 0o600) -> None:
        """Write a part of a file from byte `at` on; at 0 the file begins afresh."""
        with self._explained("write", path):
            if at == 0:
                Path(path).touch(mode)
            with Path(path).open("r+b" if at else "wb") as file:
                file.seek(at)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file, completely or not at all. Fails if it exists."""
        fresh = Path(unfinished(path))
        with self._explained("write", path):
            try:
                with fresh.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.chmod(mode)
                self.rename(str(fresh), path)
            finally:
                fresh.unlink(missing_ok=True)

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file completely or not at all, replacing an older one of that name."""
        fresh = Path(path + ".new")
        with self._explained("write", path):
            fresh.touch(mode)
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted."""
        with self._explained("list", path):
            return sorted(entry.name for entry in Path(path).iterdir())

    def exists(self, path: str) -> bool:
        """Return whether the path exists."""
        with self._explained("look at", path):
            return Path(path).exists()

    def clock(self, folder: str) -> float | None:  # noqa: ARG002
        """Return None: local files carry this machine's own clock."""
        return None

    def rename(self, path: str, new: str) -> None:
        """Rename a file or directory to a name that does not exist yet, on the same file system."""
        with self._explained("move", path):
            if Path(new).exists():
                raise FileExistsError(errno.EEXIST, f"{new} is there already")
            Path(path).rename(new)

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Make a directory and its missing parents."""
        with self._explained("make", path):
            Path(path).mkdir(mode, parents=True, exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file or an empty directory."""
        with self._explained("remove", path):
            place = Path(path)
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
            else:
                place.unlink()

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise fault("this machine", verb, path, error) from error


def _or_fault(read: Callable[[str], Result], path: str) -> Result | FilesError:
    try:
        return read(path)
    except FilesError as error:
        return error


def unfinished(path: str) -> str:
    """Return the name of a file while it is written, a new one each time."""
    return f"{path}.{secrets.token_hex(4)}{UNFINISHED}"


def above(path: str) -> list[str]:
    """Return a path and all folders above it, the highest first."""
    parts = [path]
    while (folder := posixpath.dirname(parts[0])) not in ("", "/", "."):
        parts.insert(0, folder)
    return parts


def fault(host: str, verb: str, path: str, error: Exception, *, transient: bool = False) -> FilesError:
    """Return an exception as the error for people."""
    missing = isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.ENOENT
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return FilesError(f"{host}: cannot {verb} {path}: {reason}", missing=missing, transient=transient)
