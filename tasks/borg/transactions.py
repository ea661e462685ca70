"""The points to which a repository can be rolled back: its current transactions, and what is known of each.

A transaction has the number of its last segment, so after a rollback new transactions reuse the numbers of undone ones.
A record's statement about a number only counts if no rollback has undone that number since.
"""

import os
import posixpath
import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.borg.client.break_lock import ROLLBACK
from tasks.borg.client.runner import PLAIN, How, borg_words, environment, run_script
from tasks.errors import RefusedError, UsageError
from tasks.records.chronology import Placed, in_order
from tasks.records.ledger import FREEING, INTENT, Ledger
from tasks.records.record import Record, Records
from tasks.remote.files import Files
from tasks.remote.script import Script, quote
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository
from tasks.storage.set_aside import read_text

SHARED = re.compile(r'"shared": \[\[')
TO, ASIDE, UNDID, BEFORE = "to", "aside", "undid", "before_ids"  # keys in the details of a rollback's records


@dataclass(frozen=True)
class Point:
    """A transaction to which a repository can be rolled back: its number, time, and what is known of it."""

    transaction: int
    time: datetime
    what: str = "written by the app's host"
    archive_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Undoing:
    """What `--undo` reverses: a rollback to transaction `to`, with the name of the folder that it set aside.

    `archive_ids` are the archives before it, None if they could not be listed; `seen` are those that records had
    mentioned.
    """

    to: int
    aside: str
    archive_ids: tuple[str, ...] | None
    seen: frozenset[str] = frozenset()


@dataclass
class _Past:
    """The points of a repository while reading its records, and those before each rollback, by its folder."""

    points: dict[int, Point] = field(default_factory=dict)
    before: dict[str, dict[int, Point]] = field(default_factory=dict)
    undoable: list[Undoing] = field(default_factory=list)

    def take_in(self, each: Placed, there: Collection[str]) -> None:
        record, details = each.record, each.record.details
        if record.action == "rollback" or details.get("of") == "rollback":
            self._rolled_back(record, details, there)
        if not isinstance(record.transaction, int) or record.action == INTENT:
            return
        if record.action in FREEING and details.get("space"):  # older points may lack freed data
            # By transaction, not by the order of records: the clock of whoever freed space may be ahead.
            self.points = {number: point for number, point in self.points.items() if number >= record.transaction}
            self.before, self.undoable = {}, []
        what = " ".join(filter(None, ("after the", record.action, record.source and f"of {record.source}")))
        self.points[record.transaction] = Point(record.transaction, each.time, what, record.archive_ids)

    def _rolled_back(self, record: Record, details: Mapping[str, Any], there: Collection[str]) -> None:
        to, aside, undid = details.get(TO), str(details.get(ASIDE, "")), str(details.get(UNDID, ""))
        announced = record.action == INTENT
        if not isinstance(to, int) or aside in self.before or (announced and aside not in there):
            return  # handled already, or announced and never begun
        ids = details.get(BEFORE)
        if aside:
            self.before[aside] = dict(self.points)
            known = tuple(ids) if isinstance(ids, list | tuple) else None
            self.undoable.append(Undoing(to, aside, known, seen_by(self.points)))
        if undid:
            self.points = self.before.get(undid, self.points)  # a killed rollback that is undone removed no points
            self.undoable = [each for each in self.undoable if each.aside != undid]
        else:
            self.points = {number: point for number, point in self.points.items() if number <= to}


def past(records: Records, now: datetime, there: Collection[str]) -> tuple[dict[int, Point], list[Undoing]]:
    """Return recorded points that no rollback undid, by number, and the rollbacks that can be undone.

    None is from before we last freed space. `there` are the names of the folders set aside.
    """
    found = _Past()
    for each in in_order(records, now):
        found.take_in(each, there)
    return found.points, [each for each in found.undoable if each.aside in there]


def points(
    logged: Mapping[int, datetime], recorded: Mapping[int, Point], segments: Collection[int], freed: int = 0
) -> list[Point]:
    """Return the points that a repository has now, oldest first.

    `logged` is the repository's own log of transactions, `recorded` comes from our records, `segments` are the numbers
    of the segments that exist. Excludes points before `freed`, the transaction at which we last freed space.
    """
    found = {number: Point(number, time) for number, time in logged.items()}
    for number, point in recorded.items():
        found[number] = Point(number, logged.get(number, point.time), point.what, point.archive_ids)
    return [found[number] for number in sorted(found) if number >= freed and number in segments]


def freed_at(records: Records) -> int:
    """Return the transaction at which we last freed space; 0 if never."""
    freed = (
        record.transaction
        for record in records.all
        if record.action in FREEING and record.details.get("space") and isinstance(record.transaction, int)
    )
    return max(freed, default=0)


def choose(found: Sequence[Point], app: str, to: int | None, before: datetime | None) -> Point:
    """Return the requested point. Raises UsageError if there is none."""
    if to is not None:
        chosen = [point for point in found if point.transaction == to]
    elif before is not None:
        chosen = [point for point in found if point.time < before][-1:]
    else:
        raise UsageError(
            f"{app}: name one of these transactions", "--to NUMBER, or --before TIME for the last one before a time"
        )
    if not chosen:
        raise UsageError(
            f"{app}: the repository cannot go back there", "without --to and --before all points are shown"
        )
    return chosen[0]


def unlike(foretold: Collection[str], there: Collection[str], known: Ledger) -> list[str]:
    """Return how the archives after a rollback differ from the expected ones, one phrase each; empty if they do not.

    An additional archive of ours is fine: it was made while the record of that point was written.
    """
    missing, more = set(foretold) - set(there), set(there) - set(foretold) - set(known.made)

    def names(ids: Collection[str]) -> str:
        return " and ".join(sorted(known.made.get(each) or f"one of id {each[:12]}" for each in ids))

    found = [f"{names(missing)} did not come back"] if missing else []
    return [*found, f"{names(more)} is still there"] if more else found


@contextmanager
def locked(files: Files, folder: str, *, begun: bool) -> Iterator[None]:
    """Hold borg's exclusive lock of the repository in `folder`, as borg's `locking.py` does.

    `borg with-lock` is not used, because it writes a transaction of its own. Raises RefusedError if somebody else holds
    the lock. If the block fails, the lock stays: nobody may write to a half rolled back repository, or borg would
    delete what is not committed in it. With `begun`, a lock left by such a rollback is taken over.
    """
    lock = posixpath.join(folder, "lock.exclusive")
    mine = posixpath.join(lock, f"{ROLLBACK}{socket.gethostname()}.{os.getpid()}-0")
    left = files.names(lock) if files.exists(lock) else []
    if any(not (begun and each.startswith(ROLLBACK)) or _alive(each) for each in left):
        way = f"see `inv borg.break-lock --app {posixpath.basename(folder)}`"
        raise RefusedError("the repository is locked", f"wait for whoever works there, or {way}")
    files.make_directory(lock)
    if posixpath.basename(mine) not in left:  # ours first, so that it is never free
        files.write_new(mine, b"")
    for each in left:
        if each != posixpath.basename(mine):
            files.remove(posixpath.join(lock, each))
    if files.names(lock) != [posixpath.basename(mine)] or _is_read(files, folder):
        files.remove(mine)
        files.remove(lock)
        raise RefusedError("the repository is being read", "wait for whoever works there")
    yield
    files.remove(mine)
    files.remove(lock)


def _is_read(files: Files, folder: str) -> bool:
    return bool(SHARED.search(read_text(files, posixpath.join(folder, "lock.roster"))))


def _alive(holder: str) -> bool:
    """Return whether the holder of a rollback's lock is another live process of this machine."""
    host, _, process = holder.removeprefix(ROLLBACK).rpartition(".")
    pid = process.partition("-")[0]
    if host != socket.gethostname() or pid == str(os.getpid()):
        return False
    try:
        return b"rollback" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def key_import(repository: Repository, key: bytes, how: How = PLAIN) -> None:
    """Replace the repository's key by an exported one. Raises BorgError, HostError."""
    words = quote(borg_words(repository, ("key", "import", "::", "-"), how))
    given = {**environment(repository, how), "CLOUDBACKUP_KEY": Secret(key.decode())}
    run_script(repository, Script(f'printf "%s\\n" "$CLOUDBACKUP_KEY" | {words}', given), how)


def seen_by(recorded: Mapping[int, Point], to: int | None = None) -> frozenset[str]:
    """Return the archives that records mention at a transaction or before it: all others were made later."""
    points = (point for number, point in recorded.items() if to is None or number <= to)
    return frozenset(each for point in points for each in point.archive_ids or ())


def known_after(ids: Sequence[str], known: Ledger) -> list[str]:
    """Return which of the archives after a rollback are ours.

    A mention in a record is not enough, or a rollback to a point after a forgery would vouch for it.
    """
    return [each for each in ids if each in known.ours]
