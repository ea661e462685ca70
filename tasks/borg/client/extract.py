"""`borg extract`: the contents of an archive, into a folder or as a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.answers import whole
from tasks.borg.client.list import inside
from tasks.borg.client.runner import PLAIN, UNLIMITED, BorgError, How, Result, environment, lock_option, run, run_script
from tasks.remote.script import Script, Stream, Words, quote
from tasks.storage.repository import Repository

COMMAND = ("extract", "--numeric-ids", "--sparse")  # numeric owners, as they were saved


@dataclass(frozen=True)
class ExtractOptions:
    """What to extract from `archive`: everything, or only what is at and below `paths`.

    `strip` is the number of leading folders removed from each path. Owners are numeric, as they were saved.
    """

    archive: str
    paths: Sequence[str] = ()
    strip: int = 0


def extract_words(options: ExtractOptions) -> Words:
    """Return borg's arguments; borg extracts into the working directory."""
    return (
        *COMMAND,
        *((f"--strip-components={options.strip}",) if options.strip else ()),
        f"::{options.archive}",
        "--",
        *map(inside, options.paths),
    )


def extract(repository: Repository, options: ExtractOptions, directory: str, how: How = PLAIN) -> Result:
    """Extract into the existing `directory`, overwriting what it holds: see `restore` for the careful way.

    The result has warnings about what could not be set (owners, if not root). Raises BorgError, also if the archive
    holds none of `paths`, and what `Host.run` raises.
    """
    result = run(repository, extract_words(options), replace(how, directory=directory, timeout=UNLIMITED))
    return matched(repository, result)


def matched(repository: Repository, result: Result) -> Result:
    """Return `result`, unless borg only warned that the archive lacks a requested path."""
    missing = [warning for warning in result.warnings if warning.startswith("Include pattern")]
    if missing:
        name = missing[0].partition("'")[2].rpartition("'")[0].removeprefix("pp:")
        raise BorgError(f"{repository.app}: the archive holds nothing by the name {name}", "", result)
    return result


def content(repository: Repository, archive: str, *names: str, how: How = PLAIN) -> Stream:
    """Return a stream of the bytes of files in an archive, at and below `names`, as `create` saved them from a stream.

    Its standard error is plain text; borg fails if there is none of such a name.
    """
    words = ("borg", lock_option(repository, how), "extract", "--stdout", f"::{archive}", "--", *map(inside, names))
    return Stream(quote(words), environment(repository, how))


def size(repository: Repository, archive: str, paths: Sequence[str] = (), how: How = PLAIN) -> tuple[int, int]:
    """Return the size in bytes and the number of files and folders of an archive at and below `paths`, or in all.

    Summed up on the host, so that only two numbers are transferred. Raises BorgError and what `Host.run` raises.
    """
    words = ("borg", "--log-json", lock_option(repository, how), "list", "--format={size}{NL}", f"::{archive}", "--")
    counting = "awk '{ bytes += $1 } END { printf \"%.0f %d\\n\", bytes, NR }'"
    script = Script(f"{quote((*words, *map(inside, paths)))} | {counting}", environment(repository, how))
    result = run_script(repository, script, how)
    numbers = [number for number in map(whole, result.text.split()) if number is not None]
    if len(numbers) != 2:
        raise result.unknown(repository.app, "two numbers are missing")
    return numbers[0], numbers[1]
