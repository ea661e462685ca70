"""`borg create`: an archive of files, or of a stream's bytes."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from tasks.answers import Answer, Moment, Name
from tasks.borg.delete import delete
from tasks.borg.failures import FULL_REMEDY
from tasks.borg.info import Stats
from tasks.borg.runner import PLAIN, BorgError, How, Result, run_writing, script
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.remote.script import Environment, Script, Stream, Words, quote
from tasks.storage.repository import Repository

# A checkpoint keeps what a broken first backup of days has sent: without one the repository forgets it all. The
# archive of a checkpoint is never listed, and pruned later. borg's default, said because the promise hangs on it.
CHECKPOINT_INTERVAL = 1800  # seconds

# borg 1.2 takes a full disk under a local repository for a fault of the file that it reads just then, and leaves the
# file out with a warning (tried, 1.2.4).
_NO_SPACE = re.compile(r"\[Errno (?:28|69|122)\]")


@dataclass(frozen=True)
class FilesOptions:
    """What to save of a host's files, as the inventory's `files` has it; `archive` is the archive's name."""

    archive: str
    paths: Sequence[str]
    exclude: Sequence[str] = ()
    one_file_system: bool = True
    exclude_caches: bool = True
    compression: str = "lz4"
    comment: str = ""
    cache_suffix: str = "files"


def files_of(app: App, archive: str) -> FilesOptions:
    """Return what to save of an app's files under an archive's name. Raises UsageError for an app without any."""
    if app.files is None:
        raise UsageError(f"{app.name} has no `files`", "`inv mariadb.backup` saves its database")
    return FilesOptions(
        archive=archive,
        paths=app.files.paths,
        exclude=app.files.exclude,
        one_file_system=app.files.one_file_system,
        exclude_caches=app.files.exclude_caches,
        compression=app.compression,
    )


@dataclass(frozen=True)
class StreamOptions:
    """What to save of a stream: the bytes that `content` writes become the file `name` in the archive.

    `chunk_size` is in bytes, a power of two; None leaves borg's content-defined chunks.
    """

    archive: str
    content: Stream
    name: str
    chunk_size: int | None = None
    compression: str = "lz4"
    comment: str = ""


Options = FilesOptions | StreamOptions


@dataclass(frozen=True)
class Created:
    """A new archive. `size` is what it holds and `stored` what it added to the repository, in bytes; times in UTC.

    `compressed` is what all that it holds comes to when compressed, whether it was in the repository before or not.

    `said` is what others than borg wrote to standard error, such as the command that gave a stream. `met` is why
    borg's own account of it was not heard; then the numbers are None.
    """

    archive: str
    id: str
    start: datetime
    size: int | None
    stored: int | None
    files: int | None
    seconds: float
    compressed: int | None = None
    warnings: tuple[str, ...] = field(default=())
    said: tuple[str, ...] = field(default=())
    met: CloudbackupError | None = None


class _Archive(Answer):
    name: Name
    id: Name
    start: Moment
    stats: Stats


class _Made(Answer):
    """What `borg create --json` answers."""

    archive: _Archive


class IncompleteError(BorgError):
    """Borg made an archive that misses files, and it was removed, or is still there."""


def literal(text: str) -> str:
    """Return `text` so that borg takes it as it is where it looks for placeholders such as {now}: in comments."""
    return text.replace("{", "{{").replace("}", "}}")


def create_words(options: Options) -> Words:
    """Return borg's words for a new archive. Raises UsageError for a path that borg would not take as one."""
    common = (
        "create",
        "--json",
        f"--compression={options.compression}",
        f"--checkpoint-interval={CHECKPOINT_INTERVAL}",
        *((f"--comment={literal(options.comment)}",) if options.comment else ()),
    )
    if isinstance(options, StreamOptions):
        return (*common, *_stream_words(options))
    return (*common, *_files_words(options))


def _files_words(options: FilesOptions) -> Words:
    relative = [path for path in options.paths if not path.startswith("/")]
    if relative or not options.paths:
        raise UsageError(f"paths to back up must be absolute: {', '.join(relative) or 'there is none'}")
    return (
        "--numeric-ids",
        *(("--one-file-system",) if options.one_file_system else ()),
        # The folder and its tag stay, so that after a restore it is there and still known for a cache.
        *(("--exclude-caches", "--keep-exclude-tags") if options.exclude_caches else ()),
        *(f"--exclude={pattern}" for pattern in options.exclude),
        f"::{options.archive}",
        "--",
        *options.paths,
    )


def _stream_words(options: StreamOptions) -> Words:
    return (
        *((f"--chunker-params=fixed,{options.chunk_size}",) if options.chunk_size else ()),
        "--files-cache=disabled",
        f"--stdin-name={options.name}",
        "--content-from-command",
        f"::{options.archive}",
        "--",
        *("env", "-u", "BORG_PASSPHRASE"),  # borg 1.2 hands it on, 1.4 does not
        *("bash", "-o", "pipefail", "-c", options.content.body),
    )


def create_script(repository: Repository, options: Options, how: How = PLAIN) -> Script:
    """Return the script that `create` runs, for a dry run to show."""
    return script(repository, create_words(options), _how(options, how))


def create(repository: Repository, options: Options, how: How = PLAIN) -> Created:
    """Make an archive. It gets its name only when it is whole: whatever fails before, nothing of that name is listed.

    A path that does not exist is a warning and the rest is saved; that none of them exists is an error. Raises
    ContentError when a stream's command failed, IncompleteError, BorgError, and what `Host.run` raises.
    """
    todo = create_script(repository, options, how)
    result = run_writing(repository, todo, how)
    if any(_NO_SPACE.search(warning) for warning in result.warnings):
        raise _incomplete(repository, options.archive, result, how)
    return _created(repository, options.archive, result)


def _incomplete(repository: Repository, archive: str, result: Result, how: How) -> IncompleteError:
    with suppress(AppError):  # a storage that is still full may refuse
        delete(repository, (archive,), how)
    return IncompleteError(
        f"{repository.app}: the storage was full for a while, so the archive {archive} would miss files",
        FULL_REMEDY,
        result,
    )


def _how(options: Options, how: How) -> How:
    if isinstance(options, StreamOptions):
        return replace(how, environment={**how.environment, **options.content.environment})
    # Each source ages its own files cache: frequent runs of another one would push the entries out (borg's TTL is 20).
    added: Environment = {**how.environment, "BORG_FILES_CACHE_SUFFIX": options.cache_suffix}
    return replace(how, environment=added, first="\n".join(filter(None, (how.first, _some(options)))))


def _some(options: FilesOptions) -> str:
    tests = " || ".join(f"test -e {quote((path,))} || test -L {quote((path,))}" for path in options.paths)
    return f"if ! {{ {tests}; }}; then echo 'cloudbackup: none of the paths exists' >&2; exit 2; fi"


def _created(repository: Repository, wanted: str, result: Result) -> Created:
    archive = result.answer(_Made, repository.app).archive
    if archive.name != wanted:
        raise result.unknown(repository.app, f"it tells of another archive than {wanted}")
    return Created(
        archive=archive.name,
        id=archive.id,
        start=archive.start,
        size=archive.stats.original_size,
        stored=archive.stats.deduplicated_size,
        files=archive.stats.nfiles,
        seconds=result.seconds,
        compressed=archive.stats.compressed_size,
        warnings=result.warnings,
        said=result.other_lines,
    )
