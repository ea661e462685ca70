"""Reads back what an archive holds, all or a random sample, and writes none of it. Runs alone on a host.

    python3 -c "$READING" JSON

JSON: `list` and `extract`, borg's commands; `sample`, how many files to read, or null for all of them. The first prints
for each entry `<type> <chunks> <size> <path>` and NUL. Standard output is JSON: `entries` and `files` are what the
archive holds, `expected` of them are to be read, `read` were, `bytes` is their size. The exit code is borg's.

A file without chunks has nothing to read: it is empty, or one more name of a file that has them (borg 1.2 and 1.4 read
nothing of such a name when it is extracted alone). Of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 1 << 20
LONGEST = 1 << 20  # bytes of the names in one command; Linux takes 2 MiB with the environment
LISTED = b'"borg.output.list"'  # in the line of JSON that tells of a file which borg has begun to read


class Choice:
    """What is to be read, chosen while the listing passes by: no list of all files is kept."""

    def __init__(self, sample: int | None) -> None:
        self.sample = sample
        self.entries = 0
        self.files = 0
        self.candidates = 0
        self.bytes = 0
        self.chosen: list[tuple[bytes, int]] = []
        self.random = random.SystemRandom()

    def see(self, record: bytes) -> None:
        """Take one entry into account: each of all files has the same chance to be in the sample."""
        kind, chunks, size, path = record.split(b" ", 3)
        self.entries += 1
        self.files += kind == b"-"
        if kind != b"-" or chunks == b"0":
            return
        self.candidates += 1
        self.bytes += int(size)
        if self.sample is None:
            return
        if len(self.chosen) < self.sample:
            self.chosen.append((path, int(size)))
        else:
            place = self.random.randrange(self.candidates)
            if place < self.sample:
                self.chosen[place] = (path, int(size))

    def paths(self) -> list[bytes]:
        """Return the chosen files, as many as fit into a command."""
        room, fitting = LONGEST, 0
        for path, _ in self.chosen:
            room -= len(path) + 16
            if room < 0:
                break
            fitting += 1
        del self.chosen[fitting:]
        return [path for path, _ in self.chosen]


def records(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what stands between the NULs of a stream."""
    rest = b""
    while True:
        piece = stream.read(PIECE)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole


def extract(words: list[str], paths: list[bytes]) -> tuple[int, int]:
    """Read, and return borg's exit code and how many entries it told of. Its other messages go on."""
    reader = subprocess.Popen(
        [*map(os.fsencode, words), *(b"pp:" + path for path in paths)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert reader.stderr is not None
    told = 0
    for line in reader.stderr:
        if LISTED in line:
            told += 1
        else:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
    return reader.wait(), told


def main() -> int:
    """Run the plan in the first argument; the exit code."""
    plan = json.loads(sys.argv[1])
    choice = Choice(plan["sample"])
    listing = subprocess.Popen(plan["list"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert listing.stdout is not None
    for record in records(listing.stdout):
        choice.see(record)
    code = listing.wait()
    if code not in (0, 1):
        return code
    paths = choice.paths()
    whole = choice.sample is None
    expected = choice.entries if whole else len(paths)
    code, told = extract(plan["extract"], paths) if expected else (0, 0)
    print(json.dumps({
        "entries": choice.entries, "files": choice.files, "expected": expected, "read": told,
        "bytes": choice.bytes if whole else sum(size for _, size in choice.chosen),
    }))  # fmt: skip
    return code


if __name__ == "__main__":
    sys.exit(main())
