"""Files on a host behind SSH, over SFTP."""

import posixpath
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import paramiko

from tasks.remote import pipelined
from tasks.remote.files import ALL, FilesError, Result, above, fault, unfinished

ANSWER = 60.0  # seconds within which a server must answer
PASSING = (EOFError, TimeoutError, ConnectionError, paramiko.SSHException)  # raised by a lost connection


class SftpFiles:
    """Files over an SFTP session, one request at a time: two threads would wait for each other's replies."""

    def __init__(self, sftp: paramiko.SFTPClient, host: str) -> None:
        self._sftp = sftp
        self._host = host
        self._turn = threading.RLock()
        channel = sftp.get_channel()
        assert channel is not None
        channel.settimeout(ANSWER)
        self._session = pipelined.Session(channel)

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return a file's bytes, at most the first `most` of them if given."""
        return self._one("read", path, pipelined.content(path, most))

    def read_each(self, paths: Iterable[str], most: Mapping[str, int] = ALL) -> Mapping[str, bytes | FilesError]:
        """Return each file's bytes, or its FilesError; of those in `most`, at most so many bytes."""
        return self._each("read", {path: pipelined.content(path, most.get(path)) for path in paths})

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        """Return the sorted names in each directory, or its FilesError."""
        return self._each("list", {path: pipelined.listing(path) for path in paths})

    def sizes_each(self, paths: Iterable[str]) -> Mapping[str, int | FilesError]:
        """Return each file's size in bytes, or its FilesError."""
        return self._each("look at", {path: pipelined.length(path) for path in paths})

    def read_piece(self, path: str, at: int, size: int) -> bytes:
        """Return at most `size` bytes of a file, from byte `at` on."""
        return self._one("read", path, pipelined.piece(path, at, size))

    def write_piece(self, path: str, at: int, data: bytes, mode: int = 0o600) -> None:
        """Write a part of a file from byte `at` on; at 0 the file begins afresh."""
        how = pipelined.FOR_WRITING_ON if at else pipelined.FOR_WRITING_OVER
        self._one("write", path, pipelined.writing(path, data, mode, how, at))

    def _each(self, verb: str, steps: Mapping[str, pipelined.Steps[Result]]) -> Mapping[str, Result | FilesError]:
        found = self._run(verb, f"{len(steps)} files", steps)
        return {
            path: fault(self._host, verb, path, got) if isinstance(got, OSError) else got for path, got in found.items()
        }

    def _one(self, verb: str, path: str, steps: pipelined.Steps[Result]) -> Result:
        got = self._run(verb, path, {path: steps})[path]
        if isinstance(got, OSError):
            raise fault(self._host, verb, path, got) from got
        return got

    def _run(
        self, verb: str, what: str, steps: Mapping[str, pipelined.Steps[Result]]
    ) -> Mapping[str, Result | OSError]:
        with self._turn:
            try:
                return self._session.run(steps)
            except (OSError, EOFError, paramiko.SSHException) as error:
                self._close()
                raise fault(self._host, verb, what, error, transient=True) from error
            except BaseException:  # Ctrl-C above all
                self._close()
                raise

    def _close(self) -> None:
        """Close the session: the rest of a reply, still on its way, would be taken for the start of the next one."""
        channel = self._sftp.get_channel()
        if channel is not None:
            channel.close()

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        channel = self._sftp.get_channel()
        return channel is None or channel.closed

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file, completely or not at all. Fails if it exists."""
        fresh = unfinished(path)
        try:
            self._one("write", path, pipelined.writing(fresh, data, mode))
            with self._explained("write", path):
                self._sftp.rename(fresh, path)  # never replaces a file: SFTP version 3, `SSH_FXP_RENAME`
        except FilesError:  # a full disk; over a lost connection nothing can be removed
            with suppress(OSError, EOFError, paramiko.SSHException), self._turn:
                self._sftp.remove(fresh)
            raise

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file completely or not at all, replacing an older one of that name."""
        fresh = path + ".new"
        self._one("write", path, pipelined.writing(fresh, data, mode, pipelined.FOR_WRITING_OVER))
        with self._explained("write", path):
            self._sftp.posix_rename(fresh, path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted."""
        return self._one("list", path, pipelined.listing(path))

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

    def clock(self, folder: str) -> float | None:
        """Return the modification time of a file that is made and removed in a folder, by the server's clock."""
        path = unfinished(posixpath.join(folder, "clock"))
        return self._one("write", path, pipelined.dated(path))

    def rename(self, path: str, new: str) -> None:
        """Rename a file or directory to a name that does not exist yet, on the same file system."""
        with self._explained("move", path):
            self._sftp.rename(path, new)

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Make a directory and its missing parents."""
        if self.exists(path):
            return
        for part in above(path):
            if not self.exists(part):
                with self._explained("make", part):
                    self._sftp.mkdir(part, mode)

    def remove(self, path: str) -> None:
        """Remove a file or an empty directory."""
        with self._explained("remove", path):
            try:
                self._sftp.remove(path)
            except FileNotFoundError:
                raise
            except OSError:
                if not stat.S_ISDIR(self._sftp.lstat(path).st_mode or 0):
                    raise
                self._sftp.rmdir(path)

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except (OSError, EOFError, paramiko.SSHException) as error:
            lost = self.closed or isinstance(error, PASSING)
            raise fault(self._host, verb, path, error, transient=lost) from error
