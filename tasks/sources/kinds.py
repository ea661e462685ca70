"""The kinds of source by name, with the facts that every package may use. `registry` has their behaviour.

Imports no other package, so that code below the sources (the guard, records) can use these facts and name no kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    `name` is used in archive names, `keep`, records and reports; `holds` describes the data for people. Logs continue
    the archives of another source, named by `continues`: a log archive is only useful together with one of those; log
    archives come every few minutes and vary in size. `must_be_proven`: an archive counts only after a successful
    restore drill, so a proven one is always kept. `read_by_borg`: borg reads the paths itself, so a file that it warns
    about is not in the archive; all other sources are the output of a program. `several`: an app has any number of
    sources of this kind, each under a name of the operator's; of all other kinds it has at most one, named as the kind.
    `tables`: its backups can be asked by SQL, and give back single tables.
    """

    name: str
    holds: str
    continues: str | None = None
    must_be_proven: bool = False
    read_by_borg: bool = False
    several: bool = False
    tables: bool = False


FILES = Kind("files", "files", read_by_borg=True)
MARIADB = Kind("mariadb", "a MariaDB server", must_be_proven=True, tables=True)
BINLOG = Kind("binlog", "binary logs", continues=MARIADB.name)
DUMPS = Kind("dumps", "a program's output", must_be_proven=True, several=True)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (FILES, MARIADB, BINLOG, DUMPS)}
"""Kinds by name, in the order in which an app's sources are saved."""

READ_BY_BORG = next(kind for kind in KINDS.values() if kind.read_by_borg)

SOURCE_NAME = r"[a-z][a-z0-9_]{0,31}"
"""What names a source. Without `-`, so that the name of an archive or a record can be read in one way only."""

RESERVED = (*KINDS, "after", "before", "failed", "key", "known", "records", "repository")
"""Names that no source may have: the kinds', and what stands in place of a source in records and checks."""


def kind_of(source: str) -> Kind:
    """Return the kind of a source: the kind of that name, or the one whose sources have names of the operator's."""
    return KINDS.get(source) or next(kind for kind in KINDS.values() if kind.several)


def is_of(source: str, asked: Sequence[str]) -> bool:
    """Return whether a source is among those asked for, by its own name or by its kind's; all are if none is named."""
    return not asked or source in asked or kind_of(source).name in asked


def is_log(source: str | None) -> bool:
    """Return whether a source continues another one. False for an unknown name, which a record may hold."""
    return source is not None and source in KINDS and KINDS[source].continues is not None


def logs_of(source: str, sources: Sequence[str]) -> str | None:
    """Return which of an app's `sources` are the logs that continue `source`; for logs, return `source` itself."""
    return next((each for each in sources if is_log(each) and source in (each, KINDS[each].continues)), None)


def logs_alone(sources: Sequence[str]) -> bool:
    """Return whether these sources are all logs. False if there are none."""
    return bool(sources) and all(map(is_log, sources))
