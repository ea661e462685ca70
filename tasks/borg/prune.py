"""`borg prune`: drop old archives of one source of one app by the rules of `keep`."""

import re
from dataclasses import dataclass
from datetime import timedelta

from tasks.borg import naming
from tasks.borg.messages import Level, texts
from tasks.borg.runner import PLAIN, How, run
from tasks.errors import RefusedError
from tasks.inventory.models import Keep
from tasks.remote.script import Words
from tasks.storage.repository import Repository

_LINE = re.compile(
    r"(?P<verb>Keeping (?:checkpoint )?archive|Pruning (?:checkpoint )?archive|Would prune)"
    r"(?: \((?P<rule>[^)]*)\))?:\s+(?P<name>\S+)\s"
)
_COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True)
class PruneOptions:
    """What of `app` and `source` stays."""

    app: str
    source: str
    keep: Keep
    dry_run: bool = False


@dataclass(frozen=True)
class Pruned:
    """Names of archives: kept, each with borg's rule that kept it, and removed (or to be removed, in a dry run)."""

    kept: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]


def prune_words(options: PruneOptions) -> Words:
    """Return borg's words. Raises RefusedError when the rules would keep nothing."""
    rules = tuple(f"--keep-{name}={count}" for name in _COUNTS if (count := getattr(options.keep, name)))
    if options.keep.within:
        rules = (f"--keep-within={_hours(options.keep.within)}H", *rules)
    if not rules:
        raise RefusedError(f"{options.app}: `keep` would keep nothing of {options.source}")
    return (
        "prune",
        "--list",
        *(("--dry-run",) if options.dry_run else ()),
        *rules,
        f"--glob-archives={naming.glob(options.app, options.source)}",
    )


def prune(repository: Repository, options: PruneOptions, how: How = PLAIN) -> Pruned:
    """Drop archives from the listing; `compact` frees their space. Run with the operator's side of a repository.

    The caller asks `guard.may_free` first. Raises BorgError, RefusedError, and what `Host.run` raises.
    """
    result = run(repository, prune_words(options), how)
    lines = [found for text in texts(result.messages, Level.INFO) if (found := _LINE.match(text))]
    kept = tuple((line["name"], line["rule"] or "checkpoint") for line in lines if line["verb"].startswith("Keeping"))
    return Pruned(kept, tuple(line["name"] for line in lines if not line["verb"].startswith("Keeping")))


def _hours(span: timedelta) -> int:
    return int(span.total_seconds() // 3600)
