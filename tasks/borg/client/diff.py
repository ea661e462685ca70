"""`borg diff`: what changed from one archive to another."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.answers import Answer, AnswerError, Count, Name, Text, read
from tasks.borg.client.list import inside
from tasks.borg.client.runner import PLAIN, How, Result, run
from tasks.remote.script import Words
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class Change:
    """One path that differs, and how: `added`, `removed`, `modified (+3 B, -2 B)`, `mode`, `owner`."""

    path: str
    changes: tuple[str, ...]


class _How(Answer):
    type: Name
    added: Count | None = None
    removed: Count | None = None
    size: Count | None = None


class _Line(Answer):
    """A line of `borg diff --json-lines`."""

    path: Text
    changes: list[_How]


def diff_words(first: str, second: str, paths: Sequence[str] = ()) -> Words:
    """Return borg's arguments; both archives must be of one source, or their chunks do not compare."""
    return ("diff", "--json-lines", f"::{first}", second, "--", *map(inside, paths))


def diff(
    repository: Repository, first: str, second: str, paths: Sequence[str] = (), how: How = PLAIN
) -> tuple[Change, ...]:
    """Return the differences, at and below `paths` or in all. Raises BorgError and what `Host.run` raises."""
    result = run(repository, diff_words(first, second, paths), how)
    return tuple(_change(repository.app, result, line) for line in result.stdout.splitlines() if line.strip())


def _change(app: str, result: Result, line: bytes) -> Change:
    try:
        said = read(_Line, line)
    except AnswerError as error:
        raise result.unknown(app, error) from error
    return Change(said.path, tuple(map(_in_words, said.changes)))


def _in_words(change: _How) -> str:
    if change.type == "modified" and change.added is not None:
        return f"modified (+{change.added} B, -{change.removed or 0} B)"
    return change.type if change.size is None else f"{change.type} ({change.size} B)"
