"""The kinds of source by name, and what every room may know of each. What a kind does is in `registry`.

Knows no room, so that rooms below the sources (the guard, records) go by what is said here and name no kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    `name` stands in archives' names, `keep`, records and reports; `holds` is what it saves, for a person. Logs continue
    the archives of another source, named by `continues`: an archive of theirs is worth something only together with one
    of those; they come every few minutes, and differ in size by nature. `must_be_proven`: an archive counts only once a
    restore drill succeeded, so a proven one always stays. `read_by_borg`: borg reads paths itself, so that what it
    warns of is not in the archive; all others are the output of a program.
    """

    name: str
    holds: str
    continues: str | None = None
    must_be_proven: bool = False
    read_by_borg: bool = False


FILES = Kind("files", "files", read_by_borg=True)
MARIADB = Kind("mariadb", "a MariaDB server", must_be_proven=True)
BINLOG = Kind("binlog", "binary logs", continues=MARIADB.name)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (FILES, MARIADB, BINLOG)}
"""By name, in the order in which an app's sources are saved."""

READ_BY_BORG = next(kind for kind in KINDS.values() if kind.read_by_borg)


def is_log(source: str | None) -> bool:
    """Tell whether a source continues another one. False for a name that is none, as a record may have."""
    return source is not None and source in KINDS and KINDS[source].continues is not None


def logs_of(source: str, sources: Sequence[str]) -> str | None:
    """Return which of an app's `sources` holds the logs that continue one of them; of logs themselves their own."""
    return next((each for each in sources if is_log(each) and source in (each, KINDS[each].continues)), None)


def logs_alone(sources: Sequence[str]) -> bool:
    """Tell whether these sources are logs, one or several, and nothing else."""
    return bool(sources) and all(map(is_log, sources))
