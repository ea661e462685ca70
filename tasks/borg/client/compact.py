"""`borg compact`: free the space of what was pruned or deleted. This cannot be undone."""

import re
from dataclasses import dataclass

from tasks.borg.client.messages import Level, texts
from tasks.borg.client.runner import PLAIN, How, run_writing, script
from tasks.remote.script import Words
from tasks.storage.repository import Repository, Side

_FREED = re.compile(r"compaction freed about (?P<text>[\d.]+ \w+)")


@dataclass(frozen=True)
class Compacted:
    """`freed` is borg's own rounded figure, such as `1.20 GB`; None if it prints none. Time in seconds."""

    freed: str | None
    seconds: float


def compact_words() -> Words:
    """Return borg's arguments; borg prints the freed space only with `--verbose`."""
    return ("compact", "--verbose")


def compact(repository: Repository, how: How = PLAIN) -> Compacted:
    """Free space. Use the operator's side: with an append-only key borg frees nothing, and does not say so.

    Callers ask `guard.may_free` first. Raises BorgError and what `Host.run` raises.
    """
    result = run_writing(repository, script(repository, compact_words(), how), how)
    if repository.publication is not None and repository.side is Side.OPERATOR:
        published = repository.publication.publish()
        if published is not None:
            repository.publication.free(published)
    found = [match["text"] for text in texts(result.messages, Level.INFO) if (match := _FREED.search(text))]
    return Compacted(found[-1] if found else None, result.seconds)
