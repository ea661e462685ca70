"""The kinds of source: one line each, in the order in which an app's sources are saved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from tasks.borg.choice import Choices
from tasks.borg.client import archive_name
from tasks.borg.client.extract import size
from tasks.borg.client.list import Archive
from tasks.errors import UsageError
from tasks.mariadb.sources import Binlog, MariaDB
from tasks.sources.base import Continuing, Restorable, Source
from tasks.sources.files import Files

_ALL: tuple[Source, ...] = (
    Files(),
    MariaDB(),
    Binlog(),
)

SOURCES: Mapping[str, Source] = {each.kind.name: each for each in _ALL}
RESTORABLE: Mapping[str, Restorable] = {name: each for name, each in SOURCES.items() if isinstance(each, Restorable)}
CONTINUING: Mapping[str, Continuing] = {name: each for name, each in SOURCES.items() if isinstance(each, Continuing)}


def needed(
    source: str, kept: Iterable[Archive], own: Iterable[Archive], since: datetime | None = None
) -> Collection[str]:
    """Return the names of the log archives that are still needed; see `Continuing.needed`."""
    return CONTINUING[source].needed(kept, own, since)


def source_of(choices: Choices, archive: str, asked: Sequence[str]) -> str:
    """Return the source of a named archive, from its name or else from its contents. `asked` are the requested sources.

    Raises UsageError.
    """
    named = archive_name.parse(archive)
    if named is None and len(asked) == 1:
        return asked[0]
    source = named.source if named else _by_content(choices, choices.named(archive))
    if asked and source not in asked:
        raise UsageError(f"{archive} is an archive of {source}, not of {', '.join(asked)}")
    return source


def _by_content(choices: Choices, archive: Archive) -> str:
    """Return the source whose single file the archive holds, otherwise the source that saves paths."""
    paths = next(name for name, each in RESTORABLE.items() if each.file is None)
    files = {name: each.file for name, each in RESTORABLE.items() if each.file}
    return next((name for name, file in files.items() if size(choices.repository, archive.name, (file,))[1]), paths)
