"""`borg diff`: what changed from one archive to another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.borg.list import inside
from tasks.borg.runner import PLAIN, How, run
from tasks.remote.script import Words
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class Change:
    """One path that differs and, in words, how: `added`, `removed`, `modified (+3 B, -2 B)`, `mode`, `owner`."""

    path: str
    changes: tuple[str, ...]


def diff_words(first: str, second: str, paths: Sequence[str] = ()) -> Words:
    """Return borg's words; both archives must be of one source, or their chunks do not compare."""
    return ("diff", "--json-lines", f"::{first}", second, "--", *map(inside, paths))


def diff(
    repository: Repository, first: str, second: str, paths: Sequence[str] = (), how: How = PLAIN
) -> tuple[Change, ...]:
    """Return what differs, at and below `paths` or in all. Raises BorgError and what `Host.run` raises."""
    result = run(repository, diff_words(first, second, paths), how)
    return tuple(_change(json.loads(line)) for line in result.stdout.splitlines() if line.strip())


def _change(values: Mapping[str, Any]) -> Change:
    return Change(values["path"], tuple(map(_said, values["changes"])))


def _said(change: Mapping[str, Any]) -> str:
    if change["type"] == "modified" and "added" in change:
        return f"modified (+{change['added']} B, -{change['removed']} B)"
    if "size" in change:
        return f"{change['type']} ({change['size']} B)"
    return str(change["type"])
