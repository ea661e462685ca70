"""How many files of an archive a later one lacks: both lists of files, held against each other."""

import hashlib
from array import array

from tasks.borg.client.list import Entry, contents
from tasks.borg.client.runner import How
from tasks.records.gone import Gone
from tasks.storage.repository import Repository

PATIENCE = How(lock_wait=60)
HELD = 50_000  # paths held in memory; of an archive with more files, every second, third ... by a hash of its path
SLOTS = 1 << 22  # counters of files by name and size, for those that only moved
MOST = 1 << 14  # where a counter stops


def gone(repository: Repository, before: str, now: str, files: int) -> Gone:
    """Return how many files of the archive `before` are not in the archive `now`; `files` is about how many it has.

    A file that was moved, or a folder renamed, is not gone: a file of that name and size is elsewhere in place of it.
    Of large archives a share is compared. Raises what `contents` raises.
    """
    share = max(1, -(-files // HELD))
    held: dict[int, int] = {}
    more = array("h", bytes(2 * SLOTS))  # by name and size: how many more the earlier archive has
    total = 0
    for entry in contents(repository, before, how=PATIENCE):
        if entry.type != "d":
            total += 1
            path, slot = _hashes(entry)
            more[slot] += more[slot] < MOST
            if path % share == 0:
                held[path] = slot
    of = len(held)
    for entry in contents(repository, now, how=PATIENCE):
        if entry.type != "d":
            path, slot = _hashes(entry)
            more[slot] -= more[slot] > -MOST
            held.pop(path, None)
    count = sum(more[slot] > 0 for slot in held.values())
    return Gone(round(count / of * total) if of else 0, total)


def _hashes(entry: Entry) -> tuple[int, int]:
    """Return a hash of an entry's path, and one of its name and size as the number of a counter."""
    path = hashlib.blake2b(entry.path.encode(), digest_size=8).digest()
    kind = f"{entry.size} {entry.path.rpartition('/')[2]}"
    return int.from_bytes(path), int.from_bytes(hashlib.blake2b(kind.encode(), digest_size=4).digest()) % SLOTS
