"""A drill of an archive of files: borg reads them all, or a sample, and writes none.

`borg extract --dry-run` fetches, decrypts and authenticates every chunk of what it would extract, and compares each
file's size (tried with borg 1.2.4 and 1.4.5: a flipped byte in a segment makes it exit with code 2).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.answers import Answer, Count
from tasks.borg.client.runner import PLAIN, BorgError, How, borg_words, environment, run_script
from tasks.borg.host import entries, sample
from tasks.remote.program import Program
from tasks.remote.script import Script, quote
from tasks.storage.repository import Repository
from tasks.units import many

PROGRAM = Program(sample, (entries,))
SPACE = sample.SPACE
Window = tuple[int, int]  # a part of the circle of SPACE positions that holds all files: (from, length)


@dataclass(frozen=True)
class Aim:
    """What to read: `sample` files (None: all).

    Half of them are files that changed since `since`, the others follow `cursor` on the circle; at least the part
    `share` of all files, from 0 to 1.
    """

    sample: int | None = None
    since: datetime | None = None
    cursor: int = 0
    share: float = 0.0


@dataclass(frozen=True)
class ReadBack:
    """What was read: `read` of the archive's `files`, `size` bytes in all. Time in seconds.

    `changed` of them changed since `since`; `window` is the part of all files that was read.
    """

    files: int
    read: int
    size: int
    seconds: float
    changed: int
    window: Window


class _Read(Answer):
    """The program's answer: see `host/sample.py`."""

    entries: Count
    files: Count
    candidates: Count
    expected: Count
    read: Count
    bytes: Count
    changed: Count
    window: list[Count]


def read_script(repository: Repository, archive: str, aim: Aim, how: How = PLAIN) -> Script:
    """Return the script that `read_back` runs."""
    plan = {
        "list": borg_words(repository, ("list",), how),
        "extract": borg_words(repository, ("extract", "--dry-run", "--list"), how),
        "archive": f"::{archive}",
        "sample": aim.sample,
        "since": f"{aim.since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}" if aim.since else None,
        "cursor": aim.cursor,
        "reach": int(aim.share * SPACE),
    }
    return Script(quote((*PROGRAM.words, json.dumps(plan))), {**environment(repository, how), **PROGRAM.environment})


def read_back(repository: Repository, archive: str, aim: Aim, how: How = PLAIN) -> ReadBack:
    """Read a sample of an archive's files, or everything.

    Raises BorgError if anything is missing or cannot be read completely, or if there is nothing to read, and what
    `Host.run` raises.
    """
    result = run_script(repository, read_script(repository, archive, aim, how), how)
    said = result.answer(_Read, repository.app)
    if result.warnings:
        raise BorgError(f"{repository.app}: {archive} cannot be read whole: {result.warnings[0]}", "", result)
    if not said.candidates:
        what = f"{archive} holds {many(said.files, 'file')} and nothing in them, so a drill proves nothing"
        raise BorgError(f"{repository.app}: {what}", "look into it: `inv borg.list --archive NAME`", result)
    if said.read != said.expected or len(said.window) != 2:
        what = f"{archive} should give {said.expected} entries, and gave {said.read}"
        raise BorgError(f"{repository.app}: {what}", "", result)
    read = said.files if said.expected == said.entries else said.read
    window = said.window[0], said.window[1]
    return ReadBack(said.files, read, said.bytes, result.seconds, said.changed, window)


def share(windows: list[Window]) -> float:
    """Return the part of all files that lies in any of the windows, from 0 to 1."""
    pieces = []
    for place, length in windows:
        start, end = place % SPACE, place % SPACE + min(length, SPACE)
        pieces += [(start, min(end, SPACE)), *([(0, end - SPACE)] if end > SPACE else [])]
    covered = reached = 0
    for start, end in sorted(pieces):
        covered += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return covered / SPACE
