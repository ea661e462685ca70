"""`borg extract`: what an archive holds, into a folder or as a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.answers import whole
from tasks.borg.client.list import inside
from tasks.borg.client.runner import PLAIN, UNLIMITED, BorgError, How, Result, environment, lock_option, run, run_script
from tasks.remote.script import Script, Stream, Words, quote
from tasks.storage.repository import Repository

COMMAND = ("extract", "--numeric-ids", "--sparse")  # owners by number, as they were saved


@dataclass(frozen=True)
class ExtractOptions:
    """What to take out of `archive`: all, or what lies at and below `paths`.

    `strip` is how many leading folders of each path are left out. Owners go by number, as they were saved.
    """

    archive: str
    paths: Sequence[str] = ()
    strip: int = 0


def extract_words(options: ExtractOptions) -> Words:
    """Return borg's words; they extract into the working directory."""
    return (
        *COMMAND,
        *((f"--strip-components={options.strip}",) if options.strip else ()),
        f"::{options.archive}",
        "--",
        *map(inside, options.paths),
    )


def extract(repository: Repository, options: ExtractOptions, directory: str, how: How = PLAIN) -> Result:
    """Extract into `directory`, which must be there, over whatever it holds: see `restore` for the careful way.

    Returns with warnings for what could not be set (owners, when not root). Raises BorgError, also when the archive
    holds none of `paths`, and what `Host.run` raises.
    """
    result = run(repository, extract_words(options), replace(how, directory=directory, timeout=UNLIMITED))
    return matched(repository, result)


def matched(repository: Repository, result: Result) -> Result:
    """Return `result` unless borg only warned that the archive does not hold a path that was asked for."""
    missing = [warning for warning in result.warnings if warning.startswith("Include pattern")]
    if missing:
        name = missing[0].partition("'")[2].rpartition("'")[0].removeprefix("pp:")
        raise BorgError(f"{repository.app}: the archive holds nothing by the name {name}", "", result)
    return result


def content(repository: Repository, archive: str, name: str, how: How = PLAIN) -> Stream:
    """Return a stream of the bytes of one file in an archive: what `create` saved of a stream.

    Its standard error is plain text, for whoever runs it; borg fails, also when there is no such file.
    """
    words = ("borg", lock_option(repository, how), "extract", "--stdout", f"::{archive}", "--", inside(name))
    return Stream(quote(words), environment(repository, how))


def size(repository: Repository, archive: str, paths: Sequence[str] = (), how: How = PLAIN) -> tuple[int, int]:
    """Return how many bytes and how many files and folders an archive holds at and below `paths`, or in all.

    Added up on the host, so that only two numbers travel. Raises BorgError and what `Host.run` raises.
    """
    words = ("borg", "--log-json", lock_option(repository, how), "list", "--format={size}{NL}", f"::{archive}", "--")
    counting = "awk '{ bytes += $1 } END { printf \"%.0f %d\\n\", bytes, NR }'"
    script = Script(f"{quote((*words, *map(inside, paths)))} | {counting}", environment(repository, how))
    result = run_script(repository, script, how)
    numbers = [number for number in map(whole, result.text.split()) if number is not None]
    if len(numbers) != 2:
        raise result.unknown(repository.app, "two numbers are missing")
    return numbers[0], numbers[1]
