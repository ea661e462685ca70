"""Reads an archive's files back, all or a sample, and writes none of them. Runs alone on a host.

    python3 -I -S -c PROGRAM JSON

JSON: `list` and `extract`, borg commands up to the archive; `archive`, `::NAME`; `sample`, how many files to read, or
null for all; `since`, a time in UTC as 2026-11-22T03:00:00, or null; `cursor`, a position on the circle, and `reach`,
the distance from there within which every file is read, even if that exceeds the sample.

Each file has a position on a circle of SPACE positions, determined by its path. Up to half of a sample are random files
that changed since `since`; the others are the next ones on the circle from `cursor` on, so that samples which each
start where the one before ended read every file once.

Standard output is JSON: `entries` and `files` are what the archive holds, `candidates` of them can be read; `expected`
entries are to be read, `read` were, `bytes` is their size; `changed` of them changed since; `window` is the part of the
circle that was read, as [from, length]. The exit code is borg's.

A file without chunks cannot be read: it is empty, or another hard link to a file that has them (borg 1.2 and 1.4 read
nothing for such a name if it is extracted alone). Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tasks.borg.host.entries import HEAD, Entry, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = f"--format={HEAD}{{isoctime}} {{isomtime}}{{NUL}}"
SPACE = 1 << 60
LONGEST = 1 << 20  # bytes of the names in one command; Linux allows 2 MiB with the environment
WARNED = (0, 1, *range(100, 127))  # exit codes of a borg that finished
LISTED = b'"borg.output.list"'  # in the JSON line about a file that borg has begun to read
SPECIAL = re.compile(rb"[*\[\]]")
SECONDS = len("2026-11-22T03:00:00")


def place(path: bytes) -> int:
    """Return a path's position on the circle."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest(), "big") >> 4


class Choice:
    """Chooses the files to read while the listing is read, without keeping a list of all files."""

    def __init__(self, sample: int | None, since: str | None, cursor: int, reach: int = 0) -> None:
        self.sample, self.since, self.cursor, self.reach = sample, since, cursor, reach
        self.entries = self.files = self.candidates = self.bytes = self.fresh = 0
        self.changed: list[tuple[bytes, int]] = []
        self.next: list[tuple[int, bytes, int]] = []  # a heap, the farthest first
        self.random = random.SystemRandom()

    def see(self, entry: Entry) -> None:
        """Process one entry."""
        self.entries += 1
        self.files += entry.kind == ord("-")
        if entry.kind != ord("-") or entry.chunks == 0:
            return
        self.candidates += 1
        self.bytes += entry.size
        if self.sample is None:
            return
        far = (place(entry.path) - self.cursor) % SPACE
        heapq.heappush(self.next, (-far, entry.path, entry.size))
        while len(self.next) > self.sample and -self.next[0][0] >= self.reach:
            heapq.heappop(self.next)
        if self.since and max(time[:SECONDS] for time in entry.source.decode("ascii", "replace").split()) >= self.since:
            self._see_changed(entry, self.sample // 2)

    def _see_changed(self, entry: Entry, most: int) -> None:
        """Keep `most` of the changed files, each with the same probability."""
        self.fresh += 1
        if len(self.changed) < most:
            self.changed.append((entry.path, entry.size))
        elif (number := self.random.randrange(self.fresh)) < most:
            self.changed[number] = (entry.path, entry.size)

    def made(self) -> Made:
        """Return the choice."""
        near = sorted(((-far, path, size) for far, path, size in self.next), reverse=True)
        chosen, length = dict(self.changed), self.reach
        while near and (near[-1][0] < self.reach or near[-1][1] in chosen or len(chosen) < (self.sample or 0)):
            far, path, size = near.pop()
            chosen[path], length = size, max(length, far + 1)
        whole = not near and self.candidates <= len(chosen)
        return Made(chosen, SPACE if whole else length)


class Made:
    """The chosen files with their sizes, and how far on the circle they reach."""

    def __init__(self, chosen: dict[bytes, int], length: int) -> None:
        self.chosen, self.length = chosen, length


def pattern(path: bytes) -> bytes:
    """Return borg's pattern for a listed path. A byte that is not UTF-8 is listed as `?`, used as a wildcard then."""
    return b"sh:" + SPECIAL.sub(b"?", path) if b"?" in path else b"pp:" + path


def batches(patterns: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the patterns in batches that fit into one command."""
    batch: list[bytes] = []
    room = LONGEST
    for each in patterns:
        if batch and len(each) + 16 > room:
            yield batch
            batch, room = [], LONGEST
        batch.append(each)
        room -= len(each) + 16
    if batch:
        yield batch


def extract(words: list[str], patterns: list[bytes]) -> tuple[int, int, set[bytes]]:
    """Read; return borg's exit code, how many entries it named, and which. Its other messages are passed on.

    Names are only kept for a chosen sample: all of them might be too many.
    """
    reader = subprocess.Popen(
        [*map(os.fsencode, words), *patterns],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert reader.stderr is not None
    count, named = 0, set()
    for line in reader.stderr:
        if LISTED in line:
            count += 1
            if patterns:
                named.add(_named(line))
        else:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
    return reader.wait(), count, named


def _named(line: bytes) -> bytes:
    try:
        return str(json.loads(line)["message"]).encode("utf-8", "replace")
    except (ValueError, KeyError, TypeError):
        return b""


def main() -> int:
    """Run the plan in the first argument; return the exit code."""
    plan = json.loads(sys.argv[1])
    choice = Choice(plan["sample"], plan["since"], plan["cursor"], plan["reach"])
    words = [*plan["list"], FORMAT, plan["archive"]]
    listing = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert listing.stdout is not None
    for entry in entries(listing.stdout):
        choice.see(entry)
    code = listing.wait()
    if code not in (0, 1):
        return code
    return read(plan, choice)


def read(plan: dict[str, Any], choice: Choice) -> int:
    """Read the chosen files and print the result; return the exit code."""
    made = choice.made()
    # With as many names as files nothing is selected by name: two names that are not UTF-8 may be listed alike.
    whole = choice.sample is None or choice.sample >= choice.candidates > 0
    expected = choice.entries if whole else len(made.chosen)
    words = [*plan["extract"], plan["archive"], "--"]
    code, count = 0, 0
    named: set[bytes] = set()
    for patterns in batches([pattern(path) for path in made.chosen]) if not whole else [[]][:expected]:
        ended, more, names = extract(words, patterns)
        code, count, named = max(code, ended), count + more, named | names
        if ended not in WARNED:
            code = ended
            break
    print(json.dumps({
        "entries": choice.entries, "files": choice.files, "candidates": choice.candidates,
        "expected": expected, "read": count if whole else len(named & set(made.chosen)),
        "bytes": choice.bytes if whole else sum(made.chosen.values()),
        "changed": sum(path in made.chosen for path, _ in choice.changed),
        "window": [choice.cursor, SPACE if whole else made.length],
    }))  # fmt: skip
    return code


if __name__ == "__main__":
    sys.exit(main())
