"""Files on a host behind SSH, over SFTP."""

import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import paramiko

from tasks.remote import pipelined
from tasks.remote.files import FilesError, Result, above, fault, unfinished

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
            raise fault(self._host, verb, f"{len(wanted)} files", error, transient=True) from error
        return {
            path: fault(self._host, verb, path, got) if isinstance(got, OSError) else got for path, got in found.items()
        }

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        channel = self._sftp.get_channel()
        return channel is None or channel.closed

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file, completely or not at all. Fails if it exists."""
        fresh = unfinished(path)
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
        for part in above(path):
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
            raise fault(self._host, verb, path, error, transient=lost) from error
