"""`find`: in which archives a file is, newest first, and which versions of it there are."""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.borg.apps import AllFailedError, SomeFailedError
from tasks.borg.client.archive_name import parse
from tasks.borg.client.entries import checksums, entries
from tasks.borg.client.list import Archive, archives
from tasks.borg.entries_cache import EntriesCache
from tasks.borg.known import known_ids
from tasks.borg.versions import Search, versions
from tasks.crash import foreseen
from tasks.errors import CloudbackupError, UsageError
from tasks.fleet.found import Looked, as_json, table
from tasks.inventory.models import App
from tasks.run.parallel import contained, spread
from tasks.run.session import Session
from tasks.sources.kinds import KINDS
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tasks.units import many

PARALLEL = 4  # archives listed at a time: borg takes a core for each
SUMS = 200  # files whose data may be read for their checksums
PATHS = frozenset(name for name, kind in KINDS.items() if kind.read_by_borg)


@dataclass(frozen=True)
class Options:
    """What to look for: `pattern` in the archives of the named apps (none: all), `checksum` reads the files' data."""

    pattern: str
    apps: Sequence[str] = ()
    format: str = "table"
    checksum: bool = False


def run(folder: str, options: Options) -> int:
    """Look, print what was found, return the exit code: 3 if an archive could not be looked through.

    Raises UsageError, InterruptedRunError, and for a single app its own fault.
    """
    if options.format not in ("table", "json"):
        raise UsageError(f"--format {options.format} is not known", "give table or json")
    Search(options.pattern)  # a mistake in it is said before anything is asked
    with Session(load(Path(folder))) as session:
        apps = [app for app in session.inventory.select(options.apps) if PATHS & set(app.sources)]
        if not apps:
            raise UsageError("none of the apps has files")
        look = _search if len(apps) == 1 else _looked
        looked = [look(session, app, options) for app in apps]
    print(as_json(looked) if options.format == "json" else table(looked, options.pattern))
    if looked and all(each.faults and not each.archives for each in looked):
        return AllFailedError.exit_code
    return SomeFailedError.exit_code if any(each.faults for each in looked) else 0


def _looked(session: Session, app: App, options: Options) -> Looked:
    try:
        with foreseen(app.name):
            return _search(session, app, options)
    except CloudbackupError as error:
        return Looked(app, faults=(error.what,))


def _search(session: Session, app: App, options: Options) -> Looked:
    repository = session.repository(app, Side.OPERATOR)
    listed = sorted(archives(repository).archives, key=lambda each: each.start, reverse=True)
    mine = [each for each in listed if (name := parse(each.name)) is None or name.source in PATHS]
    cache = EntriesCache(session.inventory.cache / "entries" / app.storage / app.name)
    faults: dict[str, str] = {}
    search = Search(options.pattern)
    for number, text in _entries(session, repository, mine, cache, faults):
        search.look(number, text)
    cache.trim([each.id for each in listed])
    if options.checksum:
        _sum(session, repository, mine, search)
    known = known_ids(session.storage_of(app).read_history(app))
    files = {path: versions(found) for path, found in sorted(search.found.items())}
    return Looked(app, mine, known, files, tuple(f"{name}: {why}" for name, why in faults.items()))


def _entries(
    session: Session, repository: Repository, mine: Sequence[Archive], cache: EntriesCache, faults: dict[str, str]
) -> Iterable[tuple[int, bytes]]:
    """Yield number and entries of each archive; those that are not in the cache are listed, several at a time."""

    def listed(archive: Archive) -> bytes | None:
        text = entries(repository, archive.name)
        cache.store(archive.id, text)
        return text

    def fault(archive: Archive, error: CloudbackupError) -> None:
        faults[archive.name] = error.what

    missing = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for number, text in enumerate(pool.map(lambda each: cache.load(each.id), mine)):
            if text is None:
                missing.append(number)
            else:
                yield number, text
    if missing:
        print(f"{repository.app}: {many(len(missing), 'archive')} must be read, once only", file=sys.stderr)
    for start in range(0, len(missing), PARALLEL):  # a few at a time: each may be large
        part = missing[start : start + PARALLEL]
        work = contained(listed, fault, lambda archive: archive.name)
        found = spread(session, [mine[number] for number in part], PARALLEL, work)
        yield from ((number, text) for number, text in zip(part, found, strict=True) if text is not None)


def _sum(session: Session, repository: Repository, mine: Sequence[Archive], search: Search) -> None:
    """Tell versions apart by checksums. Raises UsageError for too many files, and what borg raises."""
    paths_by_archive: dict[int, list[bytes]] = {}
    for path, found in search.found.items():
        for head, numbers in found.items():
            for number in numbers if head[0] == b"-" else ():
                paths_by_archive.setdefault(number, []).append(path)
    if len(search.found) > SUMS:
        raise UsageError(f"--checksum would read {len(search.found):,} files", "give a longer pattern")
    errors: list[CloudbackupError] = []

    def read(number: int) -> dict[bytes, str]:
        return checksums(repository, mine[number].name, paths_by_archive[number])

    def fault(_number: int, error: CloudbackupError) -> dict[bytes, str]:
        errors.append(error)
        return {}

    sums = spread(session, list(paths_by_archive), PARALLEL, contained(read, fault, lambda number: mine[number].name))
    if errors:
        raise errors[0]
    by_number = zip(paths_by_archive, sums, strict=True)
    search.split({(number, path): digest for number, each in by_number for path, digest in each.items()})
