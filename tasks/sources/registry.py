"""The kinds of source: one line each, in the order in which an app's sources are saved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from tasks.borg.choice import Choices
from tasks.borg.client import archive_name
from tasks.borg.client.extract import size
from tasks.borg.client.list import Archive
from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.mariadb.sources import Binlog, MariaDB
from tasks.records.record import Record
from tasks.sources.base import Continuing, Restorable, Source
from tasks.sources.dumps.dump_source import Dumps
from tasks.sources.files import Files
from tasks.sources.kinds import READ_BY_BORG, is_of, kind_of

_ALL: tuple[type[Source], ...] = (
    Files,
    MariaDB,
    Binlog,
    Dumps,
)

SOURCES: Mapping[str, type[Source]] = {each.kind.name: each for each in _ALL}


def named(source: str) -> Source:
    """Return a source by its name."""
    return SOURCES[kind_of(source).name](source)


def names_own(record: Record, source: str) -> bool:
    """Return whether a record is of a source, and not of an archive of another name, whose drill proves nothing."""
    return record.source == source and archive_name.names_source(record.archive, source)


def restorable(source: str) -> Restorable | None:
    """Return a source by its name; None if it cannot be restored on its own."""
    found = named(source)
    return found if isinstance(found, Restorable) else None


def continuing(source: str) -> Continuing | None:
    """Return a source by its name; None if it does not consist of logs that continue another one."""
    found = named(source)
    return found if isinstance(found, Continuing) else None


def chosen(app: App, asked: Sequence[str], *, alone: bool = False) -> list[str]:
    """Return the sources of an app among those asked for: all of them if none is named.

    `alone`: only those that can be restored on their own.
    """
    return [each for each in app.sources if is_of(each, asked) and (not alone or restorable(each) is not None)]


def require_known(asked: Iterable[str], apps: Iterable[App], *, alone: bool = False) -> None:
    """Raise UsageError if a name asked for is neither a kind of source nor a source of any of the apps.

    `alone`: nor one that can be restored on its own.
    """
    every = dict.fromkeys((*SOURCES, *(source for app in apps for source in app.sources)))
    known = [name for name in every if not alone or restorable(name) is not None]
    for source in asked:
        if source not in known:
            raise UsageError(
                f"there is no source `{source}`{nearest(source, known)}", f"a source is one of {', '.join(known)}"
            )


def needed(
    source: str, kept: Iterable[Archive], own: Iterable[Archive], since: datetime | None = None
) -> Collection[str]:
    """Return the names of the log archives that are still needed; see `Continuing.needed`."""
    logs = continuing(source)
    assert logs is not None, source
    return logs.needed(kept, own, since)


def source_of(choices: Choices, archive: str, asked: Sequence[str]) -> str:
    """Return the source of a named archive, from its name or else from its contents. `asked` are the requested sources.

    Raises UsageError.
    """
    parsed = archive_name.parse(archive)
    if parsed is None and len(asked) == 1:
        return asked[0]
    source = parsed.source if parsed else _by_content(choices, choices.named(archive))
    if not is_of(source, asked):
        raise UsageError(f"{archive} is an archive of {source}, not of {', '.join(asked)}")
    return source


def _by_content(choices: Choices, archive: Archive) -> str:
    """Return the source whose single file the archive holds, otherwise the source that saves paths."""
    fixed = [name for name in SOURCES if not kind_of(name).several]
    every = {name: restorable(name) for name in (*fixed, *choices.app.sources)}
    files = {name: each.file for name, each in every.items() if each and each.file}
    found = (name for name, file in files.items() if size(choices.repository, archive.name, (file,))[1])
    return next(found, READ_BY_BORG.name)
