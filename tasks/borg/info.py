"""`borg info`: sizes of a repository or of one archive. Needs borg's chunk index, so a new client reads much first."""

from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.borg.runner import PLAIN, BorgError, How, run
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
    """An archive: `size` is what it holds, `unique` what only it uses now, in bytes; times in UTC."""

    name: str
    id: str
    start: datetime
    end: datetime
    host: str
    comment: str
    size: int
    unique: int
    files: int


def info_words(archive: str | None = None) -> Words:
    """Return borg's words for a repository, or for one archive in it."""
    return ("info", "--json", *((f"::{archive}",) if archive else ()))


def repository_info(repository: Repository, how: How = PLAIN) -> RepositoryInfo:
    """Return a repository's sizes. Raises BorgError and what `Host.run` raises."""
    result = run(repository, info_words(), how)
    try:
        values = result.json()
        stats = values["cache"]["stats"]
        return RepositoryInfo(
            id=values["repository"]["id"],
            location=values["repository"]["location"],
            encryption=values["encryption"]["mode"],
            changed=_time(values["repository"]["last_modified"]),
            size=stats["total_size"],
            stored=stats["unique_csize"],
            chunks=stats["total_unique_chunks"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BorgError(f"{repository.app}: borg's info has an unknown form", "", result) from error


def archive_info(repository: Repository, archive: str, how: How = PLAIN) -> ArchiveInfo:
    """Return an archive's sizes. Raises BorgError, also when there is no such archive, and what `Host.run` raises."""
    result = run(repository, info_words(archive), how)
    try:
        values = result.json()["archives"][0]
        return ArchiveInfo(
            name=values["name"],
            id=values["id"],
            start=_time(values["start"]),
            end=_time(values["end"]),
            host=values["hostname"],
            comment=values["comment"],
            size=values["stats"]["original_size"],
            unique=values["stats"]["deduplicated_size"],
            files=values["stats"]["nfiles"],
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BorgError(f"{repository.app}: borg's info has an unknown form", "", result) from error


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
