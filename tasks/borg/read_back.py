"""A drill of an archive of files: borg reads them all, or a random sample, and writes none.

`borg extract --dry-run` fetches, decrypts and authenticates every chunk of what it would extract, and compares each
file's size (tried with borg 1.2.4 and 1.4.5: a flipped byte in a segment ends it with code 2).
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tasks.answers import Answer, Count
from tasks.borg import reading
from tasks.borg.runner import PLAIN, BorgError, How, borg_words, environment, run_script
from tasks.remote.script import Script, Words, quote
from tasks.storage.repository import Repository

READING = "READING_PROGRAM"  # name of the environment variable that carries the program's text


@dataclass(frozen=True)
class ReadBack:
    """What was read: `read` of the archive's `files`, which are `size` bytes long. Time in seconds."""

    files: int
    read: int
    size: int
    seconds: float


class _Read(Answer):
    """What `reading` answers."""

    entries: Count
    files: Count
    expected: Count
    read: Count
    bytes: Count


def list_words(archive: str) -> Words:
    """Return borg's words for what `reading` wants to know of an archive's entries."""
    return ("list", "--format={type} {num_chunks} {size} {path}{NUL}", f"::{archive}")


def extract_words(archive: str) -> Words:
    """Return borg's words for reading; patterns follow."""
    return ("extract", "--dry-run", "--list", f"::{archive}", "--")


def read_script(repository: Repository, archive: str, sample: int | None, how: How = PLAIN) -> Script:
    """Return the script that `read_back` runs."""
    plan = {
        "list": borg_words(repository, list_words(archive), how),
        "extract": borg_words(repository, extract_words(archive), how),
        "sample": sample,
    }
    text = Path(reading.__file__).read_text(encoding="utf-8")
    words = f'python3 -I -S -c "${READING}" {quote((json.dumps(plan),))}'
    return Script(words, {**environment(repository, how), READING: text})


def read_back(repository: Repository, archive: str, sample: int | None, how: How = PLAIN) -> ReadBack:
    """Read `sample` random files of an archive, or with None all that it holds.

    Raises BorgError when anything cannot be read whole, or is not there, and what `Host.run` raises.
    """
    result = run_script(repository, read_script(repository, archive, sample, how), how)
    said = result.answer(_Read, repository.app)
    if result.warnings:
        raise BorgError(f"{repository.app}: {archive} cannot be read whole: {result.warnings[0]}", "", result)
    if said.read != said.expected or not said.entries:
        what = f"{archive} should give {said.expected} entries, and gave {said.read}"
        raise BorgError(f"{repository.app}: {what}", "", result)
    return ReadBack(said.files, said.files if sample is None else said.read, said.bytes, result.seconds)
