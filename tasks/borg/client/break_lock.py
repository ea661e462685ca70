"""`borg break-lock`: remove the lock of a borg that is gone; and find out who holds it.

borg's own message names no holder. The lock's file does: `lock.exclusive/<host id>.<pid>-<thread>`; and `lock.roster`
lists the readers, such as a mount, that a backup waits for. Behind SSH the holder is the server's `borg serve`, with
the server's host name, and not the client (tried, borg 1.2.4): there a lock is only known to be dead when that process
has ended, or from somebody who knows who runs backups.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tasks.answers import Answer, AnswerError, Name, read
from tasks.borg.client.runner import PLAIN, How, run
from tasks.errors import RefusedError
from tasks.remote.files import Files, FilesError
from tasks.remote.host import Host
from tasks.remote.script import Script, Words
from tasks.storage.repository import Repository

ROLLBACK = "cloudbackup-rollback-"  # prefix of the holder's name if a rollback holds the lock
_HOLDER = re.compile(r"(?P<host>.+)\.(?P<pid>\d+)-[0-9a-f]+")


LONGEST_ROSTER = 1 << 20  # bytes


class _Roster(Answer):
    """borg's `lock.roster`: host id, process and thread of each reader."""

    shared: list[tuple[Name, Annotated[int, Field(ge=0, lt=2**31)], object]]


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: borg's host id, and the process there. `reads`: it is a shared lock, for reading."""

    host: str
    pid: int
    reads: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}{', which reads' if self.reads else ''}"

    @property
    def rollback(self) -> bool:
        """Whether it is a rollback of ours; a killed one leaves its lock."""
        return self.host.startswith(ROLLBACK)

    def told(self, url: str) -> str:
        """Describe the holder, for the repository at `url`."""
        if self.rollback:
            return f"a rollback (process {self.pid} on {self.host.removeprefix(ROLLBACK)})"
        return f"{self}, the storage's borg serve" if url.startswith("ssh://") else str(self)


def break_lock_words() -> Words:
    """Return borg's arguments."""
    return ("break-lock",)


def parse_holder(name: str) -> Holder | None:
    """Return the holder from the name of a lock's file; None for any other name."""
    found = _HOLDER.fullmatch(name)
    return Holder(found["host"], int(found["pid"])) if found else None


def holders(files: Files, folder: str) -> tuple[Holder, ...]:
    """Return who holds the repository in `folder`, from the storage's files; empty if it is free.

    Raises FilesError and HostError.
    """
    alone = tuple(
        holder for holder in map(parse_holder, _names(files, posixpath.join(folder, "lock.exclusive"))) if holder
    )
    return alone or _readers(files, posixpath.join(folder, "lock.roster"))


def _names(files: Files, folder: str) -> list[str]:
    try:
        return files.names(folder)
    except FilesError as error:
        if error.missing:
            return []
        raise


def _readers(files: Files, roster: str) -> tuple[Holder, ...]:
    """Return the holders in a roster; none if it is missing or invalid (borg also treats it as empty then)."""
    try:
        shared = read(_Roster, files.read(roster), LONGEST_ROSTER).shared
        return tuple(Holder(host, pid, reads=True) for host, pid, _thread in shared)
    except FilesError as error:
        if error.missing:
            return ()
        raise
    except AnswerError:
        return ()


def refuse_rollback(app: str, found: tuple[Holder, ...]) -> None:
    """Raise RefusedError if a rollback holds the lock: nobody may write to a repository that is half rolled back."""
    if any(holder.rollback for holder in found):
        raise RefusedError(
            f"{app}: a rollback that has not ended holds the lock: who writes now could destroy what it moves",
            f"the same rollback, run again, ends it; `inv borg.rollback --app {app} --undo` takes it back",
        )


def refuse_alive(repository: Repository, found: tuple[Holder, ...]) -> None:
    """Raise RefusedError if a holder is a live process on the repository's own host."""
    own = repository.environment.get("BORG_HOST_ID")
    for holder in found:
        if holder.host == own and _alive(repository.host, holder.pid):
            raise RefusedError(
                f"{repository.app}: {holder} holds the lock and is alive",
                "wait for it, or end it: breaking a live lock can destroy the repository",
            )


def break_lock(repository: Repository, how: How = PLAIN) -> None:
    """Remove the locks of the repository and of its cache. Callers ask first, and call `refuse_alive`.

    Raises BorgError and what `Host.run` raises.
    """
    run(repository, break_lock_words(), how)


def _alive(host: Host, pid: int) -> bool:
    return host.run(Script(f"test -d /proc/{pid} || kill -0 {pid} 2>/dev/null"), timeout=60).ok
