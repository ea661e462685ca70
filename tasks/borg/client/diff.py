"""`borg diff`: what changed from one archive to another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.answers import Answer, Count, Name, Text
from tasks.borg.client.list import inside
from tasks.borg.client.runner import PLAIN, How
from tasks.borg.client.spool import each
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
) -> Iterator[Change]:
    """Yield the differences, at and below `paths` or in all. Raises what `spool.each` raises."""
    for said in each(repository, _Line, diff_words(first, second, paths), how):
        yield Change(said.path, tuple(map(_in_words, said.changes)))


def _in_words(change: _How) -> str:
    if change.type == "modified" and change.added is not None:
        return f"modified (+{change.added} B, -{change.removed or 0} B)"
    return change.type if change.size is None else f"{change.type} ({change.size} B)"
