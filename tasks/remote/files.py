"""Files on a host, over SFTP or on this machine: the few operations that records, keys and marks need."""

import errno
import os
import posixpath
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import paramiko

from tasks.errors import AppError
from tasks.remote import pipelined

ANSWER = 60.0  # seconds within which a server must answer
UNFINISHED = ".part"  # suffix of the name of a file that is still being written
PASSING = (EOFError, TimeoutError, ConnectionError, paramiko.SSHException)  # raised by a lost connection
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
    return, or that path's FilesError; over a network they take few round trips however many paths there are. `clock`
    returns a file's modification time by the clock of the machine that stores it, in seconds since the epoch; None if
    that is this machine's own clock, or if the server does not report it.
    """

    def read(self, path: str, most: int | None = None) -> bytes: ...
    def read_each(self, paths: Iterable[str]) -> Mapping[str, bytes | FilesError]: ...
    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]: ...
    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None: ...
    def names(self, path: str) -> list[str]: ...
    def exists(self, path: str) -> bool: ...
    def clock(self, path: str) -> float | None: ...
    def rename(self, path: str, new: str) -> None: ...
    def make_directory(self, path: str, mode: int = 0o700) -> None: ...
    def remove(self, path: str) -> None: ...


class SftpFiles:
    """Files over an SFTP session, one request at a time: two threads would wait for each other's replies."""

    def __init__(self, sftp: paramiko.SFTPClient, host: str) -> None:
        self._sftp = sftp
        self._host = host
        self._turn = threading.RLock()
        channel = sftp.get_channel()
        assert channel is not None
        channel.settimeout(ANSWER)

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return a file's bytes, at most the first `most` of them if given."""
        with self._explained("read", path), self._sftp.open(path, "rb") as file:
            return file.read(most)

    def read_each(self, paths: Iterable[str]) -> Mapping[str, bytes | FilesError]:
        """Return each file's bytes, or its FilesError."""
        return self._each("read", pipelined.content, paths)

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        """Return the sorted names in each directory, or its FilesError."""
        return self._each("list", pipelined.listing, paths)

    def _each(
        self, verb: str, steps: Callable[[str], pipelined.Steps[Result]], paths: Iterable[str]
    ) -> Mapping[str, Result | FilesError]:
        wanted = list(paths)
        channel = self._sftp.get_channel()
        assert channel is not None
        try:
            with self._turn:
                found = pipelined.read_all(channel, steps, wanted)
        except (OSError, EOFError, paramiko.SSHException) as error:
            channel.close()  # replies still on their way would be taken for replies to the next requests
            raise _fault(self._host, verb, f"{len(wanted)} files", error, transient=True) from error
        return {
            path: _fault(self._host, verb, path, got) if isinstance(got, OSError) else got
            for path, got in found.items()
        }

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        channel = self._sftp.get_channel()
        return channel is None or channel.closed

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file, completely or not at all. Fails if it exists."""
        fresh = _unfinished(path)
        with self._explained("write", path):
            try:
                with self._sftp.open(fresh, "wxb") as file:
                    file.write(data)
                self._sftp.chmod(fresh, mode)
                self._sftp.rename(fresh, path)  # never replaces a file: SFTP version 3, `SSH_FXP_RENAME`
            except OSError:  # a full disk; over a lost connection nothing can be removed
                with suppress(OSError, EOFError, paramiko.SSHException):
                    self._sftp.remove(fresh)
                raise

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file completely or not at all, replacing an older one of that name."""
        fresh = path + ".new"
        with self._explained("write", path):
            with self._sftp.open(fresh, "wb") as file:
                file.write(data)
            self._sftp.chmod(fresh, mode)
            self._sftp.posix_rename(fresh, path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted."""
        with self._explained("list", path):
            return sorted(self._sftp.listdir(path))

    def exists(self, path: str) -> bool:
        """Return whether the path exists."""
        try:
            with self._explained("look at", path):
                self._sftp.stat(path)
        except FilesError as error:
            if error.missing:
                return False
            raise
        return True

    def clock(self, path: str) -> float | None:
        """Return a file's modification time, by the server's clock."""
        with self._explained("look at", path):
            return self._sftp.stat(path).st_mtime

    def rename(self, path: str, new: str) -> None:
        """Rename a file or directory to a name that does not exist yet, on the same file system."""
        with self._explained("move", path):
            self._sftp.rename(path, new)

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Make a directory and its missing parents."""
        for part in _ancestry(path):
            if not self.exists(part):
                with self._explained("make", part):
                    self._sftp.mkdir(part, mode)

    def remove(self, path: str) -> None:
        """Remove a file or an empty directory."""
        with self._explained("remove", path):
            if stat.S_ISDIR(self._sftp.lstat(path).st_mode or 0):
                self._sftp.rmdir(path)
            else:
                self._sftp.remove(path)

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except (OSError, EOFError, paramiko.SSHException) as error:
            lost = self.closed or isinstance(error, PASSING)
            raise _fault(self._host, verb, path, error, transient=lost) from error


class LocalFiles:
    """Files of this machine."""

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return a file's bytes, at most the first `most` of them if given."""
        with self._explained("read", path), Path(path).open("rb") as file:
            return file.read(-1 if most is None else most)

    def read_each(self, paths: Iterable[str]) -> Mapping[str, bytes | FilesError]:
        """Return each file's bytes, or its FilesError."""
        return {path: _or_fault(self.read, path) for path in paths}

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        """Return the sorted names in each directory, or its FilesError."""
        return {path: _or_fault(self.names, path) for path in paths}

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file, completely or not at all. Fails if it exists."""
        fresh = Path(_unfinished(path))
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
            fresh.write_bytes(data)
            fresh.replace(path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted."""
        with self._explained("list", path):
            return sorted(entry.name for entry in Path(path).iterdir())

    def exists(self, path: str) -> bool:
        """Return whether the path exists."""
        with self._explained("look at", path):
            return Path(path).exists()

    def clock(self, path: str) -> float | None:  # noqa: ARG002
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
            raise _fault("this machine", verb, path, error) from error


def _or_fault(read: Callable[[str], Result], path: str) -> Result | FilesError:
    try:
        return read(path)
    except FilesError as error:
        return error


def _unfinished(path: str) -> str:
    return f"{path}.{secrets.token_hex(4)}{UNFINISHED}"


def _ancestry(path: str) -> list[str]:
    parts = [path]
    while (above := posixpath.dirname(parts[0])) not in ("", "/", "."):
        parts.insert(0, above)
    return parts


def _fault(host: str, verb: str, path: str, error: Exception, *, transient: bool = False) -> FilesError:
    missing = isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.ENOENT
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return FilesError(f"{host}: cannot {verb} {path}: {reason}", missing=missing, transient=transient)
