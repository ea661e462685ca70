"""Taking a repository back to an earlier transaction: what was done to it since is undone, and kept aside.

The order matters, and each step was tried (borg 1.2.4 and 1.4.5): the lock; `index`, `hints` and `integrity`, which
borg makes anew; the segments after the transaction, the highest first, so that what is left is whole at every moment;
the key from escrow, which borg only takes once the manifest can be read; what clients remember of the newer state, or
they refuse the older one; a check. Nothing is deleted.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.borg.runner import PLAIN, How, borg_words, environment, run_script
from tasks.errors import RefusedError, UsageError
from tasks.remote.files import Files, FilesError
from tasks.remote.script import Script, quote
from tasks.remote.secret import Secret
from tasks.storage.ledger import Ledger
from tasks.storage.records import Record, Records
from tasks.storage.repository import Repository

_LOGGED = re.compile(r"transaction (\d+), UTC time (\S+)")
_AUXILIARY = re.compile(r"(index|hints|integrity)\.\d+")
_SHARED = re.compile(r'"shared": \[\[')
FREEING = ("prune", "compact")


@dataclass(frozen=True)
class Point:
    """A transaction to which a repository can go back: its number, when it was, and what is known of it."""

    transaction: int
    time: datetime
    what: str = "written by the app's host"
    archive_ids: tuple[str, ...] | None = None


def points(log: str, records: Records) -> list[Point]:
    """Return all transactions that the repository's `transactions` and our records tell of, oldest first.

    None before our own hand last freed space: what they need may be gone.
    """
    found: dict[int, Point] = {}
    for number, time in _LOGGED.findall(log):
        found[int(number)] = Point(int(number), datetime.fromisoformat(time).replace(tzinfo=UTC))
    for record in records.all:
        if isinstance(record.transaction, int) and record.action != "intent":
            known = found.get(record.transaction)
            time = known.time if known else record.time
            what = " ".join(filter(None, ("after the", record.action, record.source and f"of {record.source}")))
            found[record.transaction] = Point(record.transaction, time, what, record.archive_ids)
    begin = max((_freed(record) for record in records.all), default=0)
    return [found[number] for number in sorted(found) if number >= begin]


def _freed(record: Record) -> int:
    number = record.transaction if record.action in FREEING and record.details.get("space") else None
    return number if isinstance(number, int) else 0


def choose(found: Sequence[Point], app: str, to: int | None, before: datetime | None) -> Point:
    """Return the point that a person means. Raises UsageError when there is none."""
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


@contextmanager
def locked(files: Files, folder: str, holder: str) -> Iterator[None]:
    """Hold borg's exclusive lock of the repository in `folder` (borg's `locking.py`; without `borg with-lock`, which
    writes a transaction of its own). Raises RefusedError when somebody else has it.
    """
    lock = posixpath.join(folder, "lock.exclusive")
    mine = posixpath.join(lock, holder)
    if files.exists(lock):
        raise RefusedError("the repository is locked", "wait for whoever works there, or see `inv borg.break-lock`")
    files.make_directory(lock)
    files.write_new(mine, b"")
    try:
        if files.names(lock) != [holder] or _SHARED.search(_text(files, posixpath.join(folder, "lock.roster"))):
            raise RefusedError("the repository is being read", "wait for whoever works there")
        yield
    finally:
        files.remove(mine)
        files.remove(lock)


def move_aside(files: Files, folder: str, transaction: int, aside: str) -> list[str]:
    """Move what came after a transaction into the new folder `aside`; return the names of the segments."""
    files.make_directory(aside)
    files.write_new(posixpath.join(aside, "config"), files.read(posixpath.join(folder, "config")))
    for name in files.names(folder):
        if _AUXILIARY.fullmatch(name):
            files.rename(posixpath.join(folder, name), posixpath.join(aside, name))
    moved = []
    for number, path in sorted(_segments(files, folder).items(), reverse=True):
        if number > transaction:
            files.rename(path, posixpath.join(aside, str(number)))
            moved.append(str(number))
    log = posixpath.join(folder, "transactions")
    if text := _text(files, log):
        files.write_new(posixpath.join(aside, "transactions"), text.encode())
        lines = (line for line in text.splitlines(keepends=True) if _number(line) <= transaction)
        files.replace(log, "".join(lines).encode())
    return moved


def transactions(files: Files, folder: str) -> str:
    """Return the repository's log of transactions, empty when it has none: only append-only sessions write it."""
    return _text(files, posixpath.join(folder, "transactions"))


def key_import(repository: Repository, key: bytes, how: How = PLAIN) -> None:
    """Put an exported key into the repository in the place of the one there. Raises BorgError, HostError."""
    words = quote(borg_words(repository, ("key", "import", "::", "-"), how))
    given = {**environment(repository, how), "CLOUDBACKUP_KEY": Secret(key.decode())}
    run_script(repository, Script(f'printf "%s\\n" "$CLOUDBACKUP_KEY" | {words}', given), how)


def known_after(ids: Sequence[str], known: Ledger) -> list[str]:
    """Return which of the archives that are there after a rollback our records tell of."""
    ours = set(known.made) | known.expected | known.removed
    return [each for each in ids if each in ours]


def _segments(files: Files, folder: str) -> Mapping[int, str]:
    data = posixpath.join(folder, "data")
    found: dict[int, str] = {}
    for part in files.names(data):
        if part.isdigit():
            names = files.names(posixpath.join(data, part))
            found |= {int(name): posixpath.join(data, part, name) for name in names if name.isdigit()}
    return found


def _number(line: str) -> int:
    match = _LOGGED.match(line)
    return int(match[1]) if match else 0


def _text(files: Files, path: str) -> str:
    try:
        return files.read(path).decode(errors="replace")
    except FilesError as error:
        if error.missing:
            return ""
        raise
