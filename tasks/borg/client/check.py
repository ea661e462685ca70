"""`borg check`: is the repository intact? Never with `--repair`, which discards what it cannot repair."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.borg.client.runner import PLAIN, BorgError, How, run
from tasks.borg.client.versions import Outcome, outcome
from tasks.borg.host import read_ahead
from tasks.errors import UsageError
from tasks.remote.program import Program
from tasks.remote.script import Words
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class CheckOptions:
    """How thoroughly to check.

    `verify_data` reads and decrypts every chunk. `max_duration` is in seconds: a partial check of the repository's
    segments, which the next one continues. `last` checks only the newest archives.
    """

    repository_only: bool = False
    archives_only: bool = False
    verify_data: bool = False
    max_duration: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Checked:
    """`problems` are borg's messages; empty means intact. Time in seconds."""

    problems: tuple[str, ...]
    seconds: float


READ_AHEAD = Program(read_ahead)

_EXCLUDING: Mapping[str, str] = {
    "archives_only": "a check of the repository only looks at no archives",
    "verify_data": "a check of the repository only decrypts no data",
    "last": "a check of the repository only looks at no archives",
}


def check_words(options: CheckOptions) -> Words:
    """Return borg's arguments. Raises UsageError for options that exclude each other."""
    repository_only = options.repository_only or options.max_duration is not None
    for name, reason in _EXCLUDING.items():
        if repository_only and getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} does not go with a partial check: {reason}")
    return (
        "check",
        *(("--repository-only",) if repository_only else ()),
        *(("--archives-only",) if options.archives_only else ()),
        *(("--verify-data",) if options.verify_data else ()),
        *((f"--max-duration={options.max_duration}",) if options.max_duration is not None else ()),
        *((f"--last={options.last}",) if options.last is not None else ()),
    )


def check(repository: Repository, options: CheckOptions, how: How = PLAIN) -> Checked:
    """Check and return the findings. Raises BorgError if the check itself failed, and what `Host.run` raises."""
    result = run(repository, check_words(options), _reading_ahead(repository, how))
    if outcome(result.code) is Outcome.OK:
        return Checked((), result.seconds)
    problems = result.warnings or result.other_lines
    if not problems:
        raise BorgError(f"{repository.app}: borg check ended with code {result.code} and no word", "", result)
    return Checked(problems, result.seconds)


def _reading_ahead(repository: Repository, how: How) -> How:
    """Return `how` with an ssh that never waits for borg, for what a badly damaged repository's server says."""
    ssh = repository.environment.get("BORG_RSH")
    if ssh is None:
        return how
    words = f"{shlex.join(READ_AHEAD.words)} {ssh}"
    return replace(how, environment={**how.environment, **READ_AHEAD.environment, "BORG_RSH": words})
