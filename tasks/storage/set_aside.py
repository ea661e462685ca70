"""The folders set aside beside a repository: by a rollback, with what came after the transaction that it returned to;
by a renewal, with the whole repository.

    <app>.before-rollback-<UTC time>/   config, transactions, index.N, hints.N, integrity.N, each segment by its number
    <app>.until-<UTC time>/             a repository as it was, readable by stock borg
    records/<app>.until-<UTC time>/     its records

Nothing in them is lost until `borg.rollback --remove`: `--undo` brings back what a rollback set aside.
"""

import configparser
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from tasks.errors import RefusedError
from tasks.remote.files import Files, FilesError

MARK = ".before-rollback-"
UNTIL = ".until-"
_LOGGED = re.compile(r"transaction (\d+), UTC time (\S+)")
_AUXILIARY = re.compile(r"(index|hints|integrity)\.\d+")
_TAKEN = "complete"  # marks a folder that has everything a rollback moves; lists the segments that stayed
_CLEARED = "moved-out"  # marks a folder to which everything that came later has been moved
_SEGMENTS = 1000  # borg's default number of segments per folder below `data`, unless `config` sets another


def new_name(folder: str, now: datetime) -> str:
    """Return the path of the folder for what a rollback of the repository in `folder` moves, at `now`."""
    return f"{folder}{MARK}{now:%Y-%m-%dT%H-%M-%S}"


def folders(files: Files, folder: str) -> list[str]:
    """Return the paths of the folders set aside for the repository in `folder`, oldest first. Raises FilesError."""
    above, name = posixpath.split(folder)
    try:
        found = files.names(above or ".")
    except FilesError as error:
        if error.missing:
            return []
        raise
    return [posixpath.join(above, each) for each in found if each.startswith((name + MARK, name + UNTIL))]


def take(files: Files, folder: str, transaction: int, aside: str) -> int:
    """Move what came after a transaction into the folder `aside`; return the number of segments there afterwards.

    The highest segments go first, so that the rest is consistent at every moment. Repeatable: it continues where it was
    interrupted. Once everything was moved, later writes stay where they are. Raises RefusedError if somebody wrote in
    between.
    """
    files.make_directory(aside)
    there = set(files.names(aside))
    if _TAKEN in there:
        return _count(there)
    if _written_since(files, folder, there):
        raise RefusedError(
            "somebody wrote into the repository while a rollback was half done",
            f"`inv borg.rollback --app {posixpath.basename(folder)} --undo` brings back what was there; what was "
            "written since is set aside",
        )
    for name in ("config", "transactions"):
        if name not in there and (files.exists(posixpath.join(folder, name)) or name == "config"):
            files.write_new(posixpath.join(aside, name), files.read(posixpath.join(folder, name)))
    _take_auxiliary(files, folder, aside, there)
    for number, path in sorted(segments(files, folder).items(), reverse=True):
        if number > transaction:
            _move(files, path, posixpath.join(aside, str(number)))
    log = posixpath.join(folder, "transactions")
    if text := read_text(files, log):
        lines = (line for line in text.splitlines(keepends=True) if _number(line) <= transaction)
        files.replace(log, "".join(lines).encode())
    below = sorted(segments(files, folder))
    files.write_new(posixpath.join(aside, _TAKEN), "\n".join(map(str, below)).encode())
    return _count(files.names(aside))


def is_complete(files: Files, aside: str) -> bool:
    """Return whether the folder has everything that a rollback moves. Raises FilesError."""
    return files.exists(posixpath.join(aside, _TAKEN))


def fits(files: Files, folder: str, name: str) -> bool:
    """Return whether the folder of that name can be brought back: what it continues from exists, so nothing was freed.

    Those set aside by earlier versions do not record it. Raises FilesError.
    """
    text = read_text(files, posixpath.join(posixpath.dirname(folder), name, _TAKEN))
    return {int(each) for each in text.split() if each.isdecimal()} <= set(segments(files, folder))


def _take_auxiliary(files: Files, folder: str, aside: str, there: Collection[str]) -> None:
    """Move borg's files beside the segments. Those written since the move began are deleted; borg rebuilds them."""
    for name in filter(_AUXILIARY.fullmatch, files.names(folder)):
        if name in there:
            files.remove(posixpath.join(folder, name))
        else:
            _move(files, posixpath.join(folder, name), posixpath.join(aside, name))


def _count(names: Iterable[str]) -> int:
    return sum(name.isdigit() for name in names)


def _written_since(files: Files, folder: str, taken: Iterable[str]) -> int | None:
    """Return the lowest moved segment, if the repository has segments from there on again."""
    first = min((int(name) for name in taken if name.isdigit()), default=None)
    return first if first is not None and any(number >= first for number in segments(files, folder)) else None


def take_rest(files: Files, folder: str, transaction: int, aside: str, instead: str) -> None:
    """Complete an interrupted `take` into `aside`, before `bring_back` brings all of it back.

    What was written since, by somebody who broke the lock, goes to `instead`.
    """
    if not files.exists(aside) or files.exists(posixpath.join(instead, _CLEARED)):
        return
    there = files.names(aside)
    if _TAKEN not in there and (first := _written_since(files, folder, there)):
        take(files, folder, first - 1, instead)
    take(files, folder, transaction, aside)


def bring_back(files: Files, folder: str, transaction: int, aside: str, instead: str) -> int:
    """Move the content of `aside` back after a transaction; what was written after it since goes to `instead`.

    The lowest segments go first. The key is not changed. Return the number of segments moved back. Repeatable.
    """
    cleared = posixpath.join(instead, _CLEARED)
    if not files.exists(aside):  # deleted last: everything was moved back
        if files.exists(cleared):
            files.remove(cleared)
        return 0
    if not files.exists(cleared):
        take(files, folder, transaction, instead)
        files.write_new(cleared, b"")
    names = files.names(aside)
    per_folder = _per_folder(files.read(posixpath.join(folder, "config")))
    numbers = sorted(int(name) for name in names if name.isdigit())
    for number in numbers:
        place = posixpath.join(folder, "data", str(number // per_folder))
        files.make_directory(place)
        _move(files, posixpath.join(aside, str(number)), posixpath.join(place, str(number)))
    if "transactions" in names:
        text = read_text(files, posixpath.join(aside, "transactions"))
        files.replace(posixpath.join(folder, "transactions"), text.encode())
    there = set(files.names(folder))  # files that borg rebuilt, if this was interrupted, stay
    for name in filter(_AUXILIARY.fullmatch, names):
        if name not in there:
            _move(files, posixpath.join(aside, name), posixpath.join(folder, name))
    remove(files, aside)
    files.remove(cleared)
    return len(numbers)


def remove(files: Files, aside: str) -> None:
    """Delete a folder set aside with its content, for good; links are removed, never followed. Raises FilesError."""
    try:
        files.remove(aside)
    except FilesError as error:
        try:
            names = files.names(aside)
        except FilesError:
            raise error from None
        for name in names:
            remove(files, posixpath.join(aside, name))
        files.remove(aside)


def move_records(files: Files, folder: str, aside: str, but: str) -> None:
    """Move all records but the one with that file name into the folder `aside`. Repeatable.

    Records written after everything was moved stay where they are.
    """
    moved = posixpath.join(aside, _CLEARED)
    if files.exists(moved):
        return
    files.make_directory(aside)
    for name in files.names(folder):
        if name != but:
            _move(files, posixpath.join(folder, name), posixpath.join(aside, name))
    files.write_new(moved, b"")


def logged(text: str) -> Mapping[int, datetime]:
    """Return the time (UTC) of each transaction from the text of the repository's `transactions` file.

    borg writes its lines, `transaction N, UTC time T`, in append-only sessions only; unreadable times are skipped.
    """
    found: dict[int, datetime] = {}
    for number, time in _LOGGED.findall(text):
        try:
            found[int(number)] = datetime.fromisoformat(time).replace(tzinfo=UTC)
        except ValueError:
            continue
    return found


def segments(files: Files, folder: str) -> Mapping[int, str]:
    """Return the paths of a repository's segments by number; a transaction has the number of its last segment."""
    data = posixpath.join(folder, "data")
    parts = [posixpath.join(data, part) for part in files.names(data) if part.isdigit()]
    found: dict[int, str] = {}
    for part, names in files.names_each(parts).items():
        if isinstance(names, FilesError):
            raise names
        found |= {int(name): posixpath.join(part, name) for name in names if name.isdigit()}
    return found


def read_text(files: Files, path: str) -> str:
    """Return a file's text, empty if it is missing. Raises FilesError."""
    try:
        return files.read(path).decode(errors="replace")
    except FilesError as error:
        if error.missing:
            return ""
        raise


def told(found: Sequence[str], app: str) -> Iterator[str]:
    """Yield a line for each folder set aside."""
    for path in found:
        name = posixpath.basename(path)
        back = "stock borg reads it" if UNTIL in name else "--undo brings the last one back"
        yield f"{app}: set aside: {name}; {back}, --remove {name} deletes it for good"


def _move(files: Files, path: str, new: str) -> None:
    files.rename(path, new)


def _per_folder(config: bytes) -> int:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(config.decode())
        return max(parser.getint("repository", "segments_per_dir", fallback=_SEGMENTS), 1)
    except (configparser.Error, ValueError):
        return _SEGMENTS


def _number(line: str) -> int:
    match = _LOGGED.match(line)
    return int(match[1]) if match else 0
