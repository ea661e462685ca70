"""`borg info`: sizes of a repository or of one archive. Needs borg's chunk index, so a new client reads much first."""

from dataclasses import dataclass
from datetime import datetime

from tasks.answers import Answer, Count, Moment, Name, Text
from tasks.borg.client.runner import PLAIN, How, run
from tasks.remote.script import Words
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository: bytes before and after deduplication and compression, over all archives; times in UTC."""

    id: str
    location: str
    encryption: str
    changed: datetime
    size: int
    stored: int
    chunks: int


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive: `size` is what it holds, `unique` what no other archive uses now, in bytes; times in UTC."""

    name: str
    id: str
    start: datetime
    end: datetime
    host: str
    comment: str
    size: int
    unique: int
    files: int


class _Repository(Answer):
    id: Name
    location: Text
    last_modified: Moment


class _Encryption(Answer):
    mode: Name


class _Totals(Answer):
    total_size: Count
    unique_csize: Count
    total_unique_chunks: Count


class _Cache(Answer):
    stats: _Totals


class _OfRepository(Answer):
    """The answer of `borg info --json` for a repository."""

    repository: _Repository
    encryption: _Encryption
    cache: _Cache


class Stats(Answer):
    """Sizes of an archive in bytes, and its number of files."""

    original_size: Count
    deduplicated_size: Count
    nfiles: Count
    compressed_size: Count | None = None


class _Archive(Answer):
    name: Name
    id: Name
    start: Moment
    end: Moment
    hostname: Text
    comment: Text
    stats: Stats


class _OfArchive(Answer):
    """The answer of `borg info --json` for an archive."""

    archives: list[_Archive]


def info_words(archive: str | None = None) -> Words:
    """Return borg's arguments for a repository, or for one archive in it."""
    return ("info", "--json", *((f"::{archive}",) if archive else ()))


def repository_info(repository: Repository, how: How = PLAIN) -> RepositoryInfo:
    """Return a repository's sizes. Raises BorgError and what `Host.run` raises."""
    result = run(repository, info_words(), how)
    said = result.answer(_OfRepository, repository.app)
    stats = said.cache.stats
    return RepositoryInfo(
        id=said.repository.id,
        location=said.repository.location,
        encryption=said.encryption.mode,
        changed=said.repository.last_modified,
        size=stats.total_size,
        stored=stats.unique_csize,
        chunks=stats.total_unique_chunks,
    )


def archive_info(repository: Repository, archive: str, how: How = PLAIN) -> ArchiveInfo:
    """Return an archive's sizes. Raises BorgError, also if it does not exist, and what `Host.run` raises."""
    result = run(repository, info_words(archive), how)
    said = next((each for each in result.answer(_OfArchive, repository.app).archives if each.name == archive), None)
    if said is None:
        raise result.unknown(repository.app, f"it does not tell of {archive}")
    return ArchiveInfo(
        name=said.name,
        id=said.id,
        start=said.start,
        end=said.end,
        host=said.hostname,
        comment=said.comment,
        size=said.stats.original_size,
        unique=said.stats.deduplicated_size,
        files=said.stats.nfiles,
    )
