"""Changes an account's authorized_keys when others may do so at the same time: under a lock, and verified afterwards.

Over SFTP, the only lock is a file that only one client can create. A lock's age is not judged by any clock: a waiting
client watches whether the lock stays unchanged for longer than any change takes. In case a lock was lost, the file is
read again after writing.
"""

import json
import posixpath
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from getpass import getuser

from tasks.errors import AppError
from tasks.remote.files import Files, FilesError

KEYS = ".ssh/authorized_keys"
LOCK = ".cloudbackup-lock"  # suffix of the lock file's name
STALE = 60.0  # seconds without change after which a lock is stale; a change takes a few round trips
PAUSE = 0.25  # seconds between two checks of a lock
LONGEST = 600.0  # seconds to wait for others
TRIES = 3
MOST = 1 << 20  # bytes of the file, some thousand keys
Change = Callable[[str], str]


def read_keys(files: Files, file: str = KEYS) -> str:
    """Return the file's text, empty if it is missing. Raises FilesError, AppError for one that is far too large."""
    try:
        data = files.read(file, MOST + 1)
    except FilesError as error:
        if not error.missing:
            raise
        return ""
    if len(data) > MOST:
        raise AppError(f"{file} is larger than {MOST >> 20} MiB", "look at it: these are no keys of ours")
    return data.decode("utf-8", "surrogateescape")


def rewrite_keys(files: Files, change: Change, file: str = KEYS) -> bool:
    """Rewrite an account's keys atomically: a broken file would lock everybody out. Return whether they changed.

    Raises FilesError, AppError, and what `change` raises. `change` gets the file's text as read under the lock.
    """
    before = read_keys(files, file)
    if change(before) == before:
        return False
    files.make_directory(posixpath.dirname(file), 0o700)
    for _ in range(TRIES):
        with _locked(files, file + LOCK):
            before = read_keys(files, file)
            after = change(before)
            if after != before:
                files.replace(file, after.encode("utf-8", "surrogateescape"), 0o600)
            there = read_keys(files, file)
        if there == after or change(there) == there:
            return True
    raise AppError(f"{file}: somebody else changes it at the same time", "run it again when they are done")


@contextmanager
def _locked(files: Files, lock: str) -> Iterator[None]:
    own = json.dumps({"id": secrets.token_hex(8), "who": f"{_user()}@{socket.gethostname()}"}).encode()
    _take(files, lock, own)
    try:
        yield
    finally:
        with suppress(FilesError):
            if files.read(lock, 4096) == own:  # a lock that another client took over is not ours to remove
                files.remove(lock)


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a process whose uid is not in passwd
        return "somebody"


def _take(files: Files, lock: str, own: bytes) -> None:
    """Create the lock file once no other client has it. Raises FilesError, AppError."""
    watch = _Watch(lock)
    while True:
        try:
            files.write_new(lock, own)
        except FilesError as error:
            holder = _holder(files, lock)
            watch.look(holder, error)
        else:
            return
        if holder is not None and watch.is_stale:
            _drop(files, lock, holder)
        else:
            time.sleep(PAUSE)


class _Watch:
    """What a waiting client has seen of another client's lock."""

    def __init__(self, lock: str) -> None:
        self._lock = lock
        self._began = self._since = time.monotonic()
        self._seen: bytes | None = None
        self._absent = 0

    def look(self, holder: bytes | None, error: FilesError) -> None:
        """Record who holds the lock. Raises `error` if repeatedly nobody does, AppError after LONGEST."""
        now = time.monotonic()
        self._absent = self._absent + 1 if holder is None else 0
        if self._absent > TRIES:
            raise error
        if holder != self._seen:
            self._seen, self._since = holder, now
        if now - self._began > LONGEST:
            what = f"{self._lock}: others have changed the keys for {LONGEST:.0f} seconds"
            raise AppError(what, "remove it if nobody does")

    @property
    def is_stale(self) -> bool:
        """Whether the same holder has had it for longer than STALE."""
        return time.monotonic() - self._since > STALE


def _drop(files: Files, lock: str, stale: bytes) -> None:
    with suppress(FilesError):
        if files.read(lock, 4096) == stale:
            files.remove(lock)


def _holder(files: Files, lock: str) -> bytes | None:
    try:
        return files.read(lock, 4096)
    except FilesError as error:
        if error.missing:
            return None
        raise
