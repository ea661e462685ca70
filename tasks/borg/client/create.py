"""`borg create`: an archive of files, or of a stream's bytes; `borg import-tar`: one of a tar's members.

For files, the program that then executes borg first checks the paths on the host (`host/paths.py`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from tasks.answers import Answer, Moment, Name
from tasks.borg import encryption
from tasks.borg.client.delete import delete
from tasks.borg.client.errors import FULL_REMEDY
from tasks.borg.client.info import Stats
from tasks.borg.client.list import Encryption
from tasks.borg.client.messages import Level
from tasks.borg.client.runner import (
    BROKEN_PIPE,
    CONTENT_FAILED,
    PLAIN,
    BorgError,
    How,
    Result,
    content_failed,
    run_writing,
    script,
)
from tasks.borg.client.warnings import Skipped, sort
from tasks.borg.paths import WORDS, Found, Mounts, Plan, found_in, some
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.records.verdict import KEPT, Verdict
from tasks.remote.script import Environment, Script, Stream, Words, quote
from tasks.storage.repository import Repository

# A checkpoint keeps what a first backup of days has sent if it breaks: without one, the repository forgets it all. The
# archive of a checkpoint is never listed, and is pruned later. This is borg's default, set because the promise depends
# on it.
CHECKPOINT_INTERVAL = 1800  # seconds

# When a local repository's disk is full, borg 1.2 takes that for an error of the file that it is reading, and leaves
# the file out with a warning (tried, 1.2.4).
_NO_SPACE = re.compile(r"\[Errno (?:28|69|122)\]")
FULL = ("the storage was full for a while, so the archive {} would miss files", FULL_REMEDY)
FAILED = ("the command that gives the content of the archive {} failed at its very end", "run the backup again")


@dataclass(frozen=True)
class FilesOptions:
    """What to save of a host's files; `archive` is the archive's name. For the other fields see `Plan`."""

    archive: str
    paths: Sequence[str]
    optional: Sequence[str] = ()
    patterns: Sequence[str] = ()
    exclude: Sequence[str] = ()
    patterns_from: Sequence[str] = ()
    exclude_if_present: Sequence[str] = ()
    exclude_caches: bool = True
    nodump: bool = False
    mounts: Mounts | None = None
    mounted: Sequence[str] = ()
    verified: Sequence[str] = ()
    compression: str = "lz4"
    comment: str = ""
    cache_suffix: str = "files"

    @property
    def plan(self) -> Plan:
        """The paths to check first."""
        return Plan(**{each.name: getattr(self, each.name) for each in fields(Plan)})


def files_of(app: App, archive: str) -> FilesOptions:
    """Return what to save of an app's files as the archive `archive`. Raises UsageError if the app has no files."""
    files = app.files
    if files is None:
        raise UsageError(f"{app.name} has no `files`", f"`inv mariadb.backup --app {app.name}` saves its database")
    return FilesOptions(
        archive=archive,
        paths=tuple(dict.fromkeys((*files.paths, *files.optional))),
        optional=files.optional,
        patterns=files.patterns,
        exclude=files.exclude,
        patterns_from=files.patterns_from,
        exclude_if_present=files.exclude_if_present,
        exclude_caches=files.exclude_caches,
        nodump=files.nodump,
        mounts=files.inner_mounts,
        mounted=files.expect.mounted,
        verified=tuple(dict.fromkeys((*dict(files.verify.sha256), *files.verify.paths))),
        compression=app.compression,
    )


@dataclass(frozen=True)
class StreamOptions:
    """What to save of a stream: the output of `content` becomes the file `name` in the archive.

    Without a name it is a tar, whose members become the archive's files. Its writer must never leave the pipe between
    two members, nor write the end of the tar unless all is well: borg would take what it has for the whole.
    `chunk_size` is in bytes, a power of two; None cuts by content, as borg does, by `chunker` in borg's own words:
    "buzhash,14,18,16,4095", or by borg's default if that is empty.
    """

    archive: str
    content: Stream
    name: str = ""
    chunk_size: int | None = None
    compression: str = "lz4"
    comment: str = ""
    chunker: str = ""


Options = FilesOptions | StreamOptions
WHOLE = Verdict()


@dataclass(frozen=True)
class Created:
    """A new archive. `size` is what it holds and `stored` what it added to the repository, in bytes; times in UTC.

    `compressed` is the compressed size of everything it holds, including data that the repository already had.

    `verdict` says what is missing from it, `remarks` are harmless, `warnings` need attention; `left` are the file
    systems left out by the inventory, `types` what each path is, as in `Found`. `said` is what programs other than borg
    wrote to standard error, such as the command that produced a stream. `met` is why borg's own answer did not arrive;
    the numbers are None then.
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
    verdict: Verdict = field(default=WHOLE)
    remarks: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()


class _Archive(Answer):
    name: Name
    id: Name
    start: Moment
    stats: Stats


class _Made(Answer):
    """The answer of `borg create --json`."""

    archive: _Archive
    encryption: Encryption


class UnencryptedError(BorgError):
    """Borg made an archive, but the repository is not encrypted."""


class IncompleteError(BorgError):
    """Borg made an archive that lacks files; it was removed, or is still there."""


def literal(text: str) -> str:
    """Escape `text` so that borg takes it literally in a comment, where it expands placeholders such as {now}."""
    return text.replace("{", "{{").replace("}", "}}")


def create_words(options: Options) -> Words:
    """Return borg's arguments for a new archive. Raises UsageError for a path that borg would not take as one."""
    tar = isinstance(options, StreamOptions) and not options.name
    comment = options.comment if tar else literal(options.comment)  # import-tar takes it as it is (1.2.4, 1.4.5)
    common = (
        "import-tar" if tar else "create",
        "--json",
        f"--compression={options.compression}",
        f"--checkpoint-interval={CHECKPOINT_INTERVAL}",
        *((f"--comment={comment}",) if comment else ()),
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
        *(() if options.mounts == "cross" else ("--one-file-system",)),
        # A tagged folder and its tag are kept, so that a restore recreates them.
        *(("--exclude-caches",) if options.exclude_caches else ()),
        *(f"--exclude-if-present={name}" for name in options.exclude_if_present),
        *(("--keep-exclude-tags",) if options.exclude_caches or options.exclude_if_present else ()),
        *(("--exclude-nodump",) if options.nodump else ()),
        # In the order in which borgmatic writes them: the first that matches decides.
        *(f"--pattern={pattern}" for pattern in options.patterns),
        *(f"--exclude={pattern}" for pattern in options.exclude),
        *(f"--patterns-from={path}" for path in options.patterns_from),
        f"::{options.archive}",
        "--",
        *options.paths,
    )


def _stream_words(options: StreamOptions) -> Words:
    chunker = f"fixed,{options.chunk_size}" if options.chunk_size else options.chunker
    cut = (f"--chunker-params={chunker}",) if chunker else ()
    if not options.name:
        return (*cut, f"::{options.archive}", "-")
    return (
        *cut,
        "--files-cache=disabled",
        f"--stdin-name={options.name}",
        "--content-from-command",
        f"::{options.archive}",
        "--",
        *_content_words(options),
    )


def _content_words(options: StreamOptions) -> Words:
    # borg 1.2 passes the passphrase on, 1.4 does not
    return ("env", "-u", "BORG_PASSPHRASE", "bash", "-o", "pipefail", "-c", options.content.body)


def _piped(options: StreamOptions) -> str:
    """Return bash that writes the content for the borg behind it, whose exit code counts, and says if it fails."""
    failed = f'code=$?; [ "$code" = {BROKEN_PIPE} ] || echo "{CONTENT_FAILED} $code" >&2'
    return f"{{ {quote(_content_words(options))} || {{ {failed}; }}; }} |"


def create_script(repository: Repository, options: Options, how: How = PLAIN) -> Script:
    """Return the script that `create` runs, for a dry run to show."""
    return script(repository, create_words(options), _how(options, how))


def create(repository: Repository, options: Options, how: How = PLAIN) -> Created:
    """Make an archive. It gets its name only when it is complete: if anything fails before, no such archive is listed.

    If a path is missing or a file cannot be read, the rest is saved, and the verdict is incomplete; it is an error if
    none of the paths exists. Raises ContentError if a stream's command failed, IncompleteError, UnencryptedError,
    BorgError, and what `Host.run` raises.
    """
    todo = create_script(repository, options, how)
    result = run_writing(repository, todo, how)
    if any(_NO_SPACE.search(warning) for warning in result.warnings):
        raise _incomplete(repository, options.archive, FULL, result, how)
    if content_failed(result):  # after the end of a tar: the archive should be whole, but nobody can vouch for it
        raise _incomplete(repository, options.archive, FAILED, result, how)
    return _judged(_created(repository, options.archive, result), options, result)


def _incomplete(
    repository: Repository, archive: str, why: tuple[str, str], result: Result, how: How
) -> IncompleteError:
    with suppress(AppError):  # a storage that is still full may refuse
        delete(repository, (archive,), how)
    return IncompleteError(f"{repository.app}: {why[0].format(archive)}", why[1], result)


def _how(options: Options, how: How) -> How:
    if isinstance(options, StreamOptions):
        environment = {**how.environment, **options.content.environment}
        return replace(how, environment=environment, wrapper="" if options.name else _piped(options))
    # Each source ages its own files cache: frequent runs of another source would evict its entries (borg's TTL is 20).
    added: Environment = {**options.plan.environment, "BORG_FILES_CACHE_SUFFIX": options.cache_suffix}
    return replace(how, environment={**how.environment, **added}, wrapper=WORDS)


def _judged(made: Created, options: Options, result: Result) -> Created:
    """Return the archive with what the host and borg reported about its contents."""
    if isinstance(options, StreamOptions):
        # What a tar has of members says nothing of what they were made of: like a stream, it is one thing.
        return replace(made, warnings=result.warnings, files=made.files if options.name else 1)
    found = found_in(result.messages)
    serious = (m for m in result.messages if m.level in (Level.WARNING, Level.ERROR) and m.text in result.warnings)
    skipped = sort(serious, (*options.paths, *found.roots))
    return replace(
        made,
        verdict=_verdict(found, skipped),
        remarks=tuple(_remarks(found, skipped)),
        left=tuple(found.left),
        types=tuple(found.types),
        warnings=skipped.other,
    )


def _verdict(found: Found, skipped: Skipped) -> Verdict:
    """Return what is left out: found before borg ran, or unreadable for borg."""
    before = dict(found.left_out)
    more = {path: reason for path, reason in skipped.left_out.items() if path not in before}
    first = [f"{path}: {reason}" for path, reason in [*before.items(), *more.items()][:KEPT]]
    return Verdict(left_out=found.count + len(more), first=tuple(first))


def _remarks(found: Found, skipped: Skipped) -> Iterator[str]:
    missing = dict(found.left_out)
    saved = [(path, place) for path, place in found.links if path not in missing]
    yield from (f"{path} is a link: {place}, where it leads, is saved as well" for path, place in saved)
    if found.left:
        yield f"not saved, as `mounts` says: {some(found.left)}"
    if skipped.harmless:
        changed = [f"{path}: {reason}" for path, reason in skipped.harmless.items()]
        yield f"{len(changed)} changed or vanished while they were read: {some(changed)}"


def _created(repository: Repository, wanted: str, result: Result) -> Created:
    said = result.answer(_Made, repository.app)
    archive = said.archive
    if archive.name != wanted:
        raise result.unknown(repository.app, f"it tells of another archive than {wanted}")
    if not encryption.is_encrypted(said.encryption.mode):
        what = f"{encryption.fault(repository.app, said.encryption.mode)}, and {wanted} was saved there"
        raise UnencryptedError(what, encryption.remedy(repository.app), result)
    return Created(
        archive=archive.name,
        id=archive.id,
        start=archive.start,
        size=archive.stats.original_size,
        stored=archive.stats.deduplicated_size,
        files=archive.stats.nfiles,
        seconds=result.seconds,
        compressed=archive.stats.compressed_size,
        said=result.other_lines,
    )
