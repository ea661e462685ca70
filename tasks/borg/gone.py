"""How many files of an archive a later one lacks: both lists of files, held against each other."""

import hashlib
from array import array
from datetime import datetime
from typing import NamedTuple

from tasks.borg.client.list import Entry, contents
from tasks.borg.client.runner import How
from tasks.records.gone import Gone, Loss
from tasks.storage.repository import Repository

PATIENCE = How(lock_wait=60)
HELD = 50_000  # paths held in memory; of an archive with more files, every second, third ... by a hash of its path
SLOTS = 1 << 22  # counters of files by name and size, for those that only moved
MOST = 1 << 14  # where a counter stops


class _Held(NamedTuple):
    """A file of the earlier archive: its counter, its size in bytes, and whether it has not changed for long."""

    slot: int
    size: int
    settled: bool


def gone(repository: Repository, before: str, now: str, files: int, since: datetime) -> Gone:
    """Return how many files of the archive `before` are not in the archive `now`; `files` is about how many it has.

    A file that was moved, or a folder renamed, is not gone: a file of that name and size is elsewhere in place of it.
    Files that last changed before `since` are counted by themselves as well. Of large archives a share is compared.
    Raises what `contents` raises.
    """
    share = max(1, -(-files // HELD))
    held: dict[int, _Held] = {}
    more = array("h", bytes(2 * SLOTS))  # by name and size: how many more the earlier archive has
    total = 0
    for entry in contents(repository, before, how=PATIENCE):
        if entry.type != "d":
            total += 1
            path, slot = _hashes(entry)
            more[slot] += more[slot] < MOST
            if path % share == 0:
                held[path] = _Held(slot, entry.size, entry.changed is not None and entry.changed < since)
    every = list(held.values())
    for entry in contents(repository, now, how=PATIENCE):
        if entry.type != "d":
            path, slot = _hashes(entry)
            more[slot] -= more[slot] > -MOST
            held.pop(path, None)
    left = [each for each in held.values() if more[each.slot] > 0]
    factor = total / len(every) if every else 0
    settled = _loss([each for each in left if each.settled], [each for each in every if each.settled], factor)
    return Gone(_loss(left, every, factor), settled)


def _loss(left: list[_Held], every: list[_Held], factor: float) -> Loss:
    """Return the loss of the compared files, times `factor` for all."""
    numbers = (len(left), len(every), sum(each.size for each in left), sum(each.size for each in every))
    return Loss(*(round(number * factor) for number in numbers))


def _hashes(entry: Entry) -> tuple[int, int]:
    """Return a hash of an entry's path, and one of its name and size as the number of a counter."""
    path = hashlib.blake2b(entry.path.encode(), digest_size=8).digest()
    kind = f"{entry.size} {entry.path.rpartition('/')[2]}"
    return int.from_bytes(path), int.from_bytes(hashlib.blake2b(kind.encode(), digest_size=4).digest()) % SLOTS
