"""`borg list`: the archives of a repository, or the contents of one. Reads the manifest, never the chunk index."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.answers import Answer, Count, Moment, Name, Text
from tasks.borg.client import archive_name
from tasks.borg.client.runner import PLAIN, How, run
from tasks.borg.client.spool import each
from tasks.remote.script import Words
from tasks.storage.repository import Repository, Side
from tasks.units import many

Names = tuple[str, ...]  # of one app: its own, and those that it had before


@dataclass(frozen=True)
class Archive:
    """An archive as listed in the repository's manifest; `start` is in UTC. `comment` is None unless requested."""

    name: str
    id: str
    start: datetime
    comment: str | None = None


@dataclass(frozen=True)
class Listing:
    """All complete archives of a repository, oldest first, and separately the checkpoints of unfinished ones."""

    repository_id: str
    encryption: str
    archives: tuple[Archive, ...]
    checkpoints: tuple[Archive, ...] = ()

    def of(self, names: Names, source: str) -> tuple[Archive, ...]:
        """Return the archives of one source of the app that has, or had, these names."""
        parsed = ((archive, archive_name.parse(archive.name)) for archive in self.archives)
        return tuple(archive for archive, name in parsed if name and name.source == source and name.app in names)


LONGEST = 512 << 20  # bytes of the list of one archive's files, where it is held


class _Repository(Answer):
    id: Name


class Encryption(Answer):
    """A repository's encryption mode, in borg's words."""

    mode: Name


class _Archive(Answer):
    name: Name
    id: Name
    start: Moment
    comment: Text | None = None


class _Listed(Answer):
    """The answer of `borg list --json`."""

    repository: _Repository
    encryption: Encryption
    archives: list[_Archive]


class _Entry(Answer):
    path: Text
    type: Name
    size: Count
    isoctime: Moment | None = None


@dataclass(frozen=True)
class Entry:
    """One file or folder in an archive: path without leading slash, type letter as in `ls -l`, size in bytes.

    `changed` is when its content, name or rights last changed on its host, in UTC (ctime); None if borg did not say.
    """

    path: str
    type: str
    size: int
    changed: datetime | None = None


def list_words() -> Words:
    """Return borg's arguments for listing all archives."""
    return ("list", "--json", "--consider-checkpoints")


def one_words(app: str, source: str, wanted: str = "latest") -> Words:
    """Return borg's arguments for the archive named `wanted`, or for `latest` a source's newest one, with its comment.

    The comment costs one more read for each archive listed.
    """
    which = ("--last=1", f"--glob-archives={archive_name.glob(app, source)}")
    return (
        "list",
        "--json",
        "--format={comment}",
        *(which if wanted == "latest" else (f"--glob-archives={glob.escape(wanted)}",)),
    )


def contents_words(archive: str, paths: Sequence[str] = ()) -> Words:
    """Return borg's arguments for listing an archive's contents, at and below `paths` or all."""
    return matching_words(archive, tuple(map(inside, paths)))


def matching_words(archive: str, patterns: Sequence[str]) -> Words:
    """Return borg's arguments for listing what matches one of borg's `patterns` in an archive, or all."""
    return ("list", "--json-lines", "--format={size}{isoctime}", f"::{archive}", "--", *patterns)


def inside(path: str) -> str:
    """Return borg's pattern for a path in an archive and everything below, whatever characters it contains."""
    return f"pp:{path.lstrip('/')}"


def look_up(
    repository: Repository, names: Names, source: str, wanted: str = "latest", how: How = PLAIN
) -> Archive | None:
    """Return the archive named `wanted`, in whatever form, or for `latest` a source's newest one, with its comment.

    `names` are the app's, the newest first: an archive of an earlier name is older. None if there is none. Raises as
    `archives`.
    """
    if wanted != "latest":
        every = _listing(repository, one_words("", source, wanted), how).archives
        return next((each for each in every if each.name == wanted), None)
    for name in names:
        found = _listing(repository, one_words(name, source), how).of((name,), source)
        if found:
            return found[0]
    return None


def archives(repository: Repository, *, how: How = PLAIN) -> Listing:
    """Return the repository's archives. Raises BorgError and what `Host.run` raises."""
    return _listing(repository, list_words(), how)


def _listing(repository: Repository, words: Words, how: How) -> Listing:
    if repository.publication is not None and repository.side is Side.OPERATOR:
        repository.publication.confirm()  # what is only on the host is not saved
    # borg runs cryptographic self-tests at each start, a fifth of a listing's time; they stay on wherever borg writes.
    result = run(repository, words, replace(how, environment={"BORG_SELFTEST": "disabled", **how.environment}))
    said = result.answer(_Listed, repository.app)
    found = tuple(Archive(each.name, each.id, each.start, each.comment) for each in said.archives)
    whole = tuple(archive for archive in found if not archive_name.is_checkpoint(archive.name))
    rest = tuple(archive for archive in found if archive_name.is_checkpoint(archive.name))
    return Listing(said.repository.id, said.encryption.mode, whole, rest)


def contents(repository: Repository, archive: str, paths: Sequence[str] = (), how: How = PLAIN) -> Iterator[Entry]:
    """Yield the contents of an archive, at and below `paths` or all. Raises as `matching`."""
    return matching(repository, archive, tuple(map(inside, paths)), how)


def matching(repository: Repository, archive: str, patterns: Sequence[str], how: How = PLAIN) -> Iterator[Entry]:
    """Yield the entries that match one of borg's patterns, or all, however many. Raises what `spool.each` raises."""
    for said in each(repository, _Entry, matching_words(archive, patterns), how):
        yield Entry(said.path, said.type, said.size, said.isoctime)


def held(listing: Listing) -> str:
    """Describe what a repository holds: how many archives, the oldest and the newest by name."""
    found = listing.archives
    if not found:
        return "no archives"
    names = found[0].name if len(found) == 1 else f"{found[0].name} to {found[-1].name}"
    return f"{many(len(found), 'archive')}, {names}"


def find(listing: Listing, names: Names, source: str, wanted: str = "latest") -> Archive | None:
    """Return the archive named `wanted`, or for `latest` a source's newest one; None if there is none."""
    if wanted != "latest":
        return next((archive for archive in listing.archives if archive.name == wanted), None)
    return max(listing.of(names, source), key=lambda archive: archive.start, default=None)
