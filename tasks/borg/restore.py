"""Restoring files: into a new folder, or in place, with the old data moved aside. Nothing is ever overwritten."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from tasks.answers import Answer, Name, Text
from tasks.borg import in_place
from tasks.borg.extract import ExtractOptions, extract_words, matched, size
from tasks.borg.naming import TIME_FORMAT
from tasks.borg.runner import PLAIN, UNLIMITED, BorgError, How, borg_words, environment, run_script
from tasks.errors import AppError, UsageError
from tasks.remote.script import Script
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class Restored:
    """`moved` says for each restored path where its old data is now; sizes in bytes, time in seconds."""

    moved: Mapping[str, str]
    size: int
    files: int
    seconds: float
    warnings: tuple[str, ...] = ()


class _End(Answer):
    """What `in_place` answers: where old data is now, or why nothing or not all was restored."""

    moved: dict[Name, Name] | None = None
    refused: Text | None = None
    unusable: bool = False
    stuck: Text | None = None


def restore_to(
    repository: Repository, archive: str, directory: str, paths: Sequence[str] = (), how: How = PLAIN
) -> Restored:
    """Extract an archive, or what lies at and below `paths`, into a folder of the host that is new or empty.

    Everything keeps its path below the folder. When borg fails half-way, what came so far stays there. Raises
    UsageError for a folder that is not absolute or holds something, AppError for one that has too little room,
    BorgError (no such archive or path), and what `Host.run` raises.
    """
    _absolute((directory,))
    total, count = _size(repository, archive, paths, how)
    words = list(borg_words(repository, extract_words(ExtractOptions(archive, paths)), how))
    return _run(repository, {"directory": directory, "bytes": total, "words": words}, (total, count), how)


def restore_in_place(
    repository: Repository, archive: str, paths: Sequence[str], now: datetime, how: How = PLAIN
) -> Restored:
    """Put `paths` back where they were, each as a whole; the old data is kept beside it (see `in_place`).

    All is checked and extracted before anything changes, then all paths are replaced, or none. Raises UsageError,
    AppError with the reason when it cannot be done, BorgError, and what `Host.run` raises.
    """
    wanted = _outermost(paths)
    sizes = [_size(repository, archive, (path,), how) for path in wanted]
    items = [
        {"path": path, "bytes": total, "words": list(borg_words(repository, extract_words(_one(archive, path)), how))}
        for path, (total, _) in zip(wanted, sizes, strict=True)
    ]
    together = (sum(total for total, _ in sizes), sum(count for _, count in sizes))
    return _run(repository, {"stamp": now.strftime(TIME_FORMAT), "items": items}, together, how)


def _one(archive: str, path: str) -> ExtractOptions:
    return ExtractOptions(archive, (path,), strip=len(PurePosixPath(path).parts) - 2)


def _outermost(paths: Sequence[str]) -> tuple[str, ...]:
    _absolute(paths)
    clean = sorted({PurePosixPath("/", path.lstrip("/")) for path in paths})
    if not clean or PurePosixPath("/") in clean:
        raise UsageError("name the paths to put back; / itself can only be restored to another folder")
    return tuple(str(path) for path in clean if not set(path.parents) & set(clean))


def _absolute(paths: Sequence[str]) -> None:
    wrong = [path for path in paths if not path.startswith("/") or ".." in PurePosixPath(path).parts]
    if wrong:
        raise UsageError(f"paths on the host must be absolute: {', '.join(wrong)}")


def _size(repository: Repository, archive: str, paths: Sequence[str], how: How) -> tuple[int, int]:
    total, count = size(repository, archive, paths, how)
    if count == 0:
        raise AppError(f"{repository.app}: the archive {archive} holds nothing of {', '.join(paths) or 'anything'}")
    return total, count


def _run(repository: Repository, plan: Mapping[str, Any], sizes: tuple[int, int], how: How) -> Restored:
    added = {"CLOUDBACKUP_PLAN": json.dumps(plan), "CLOUDBACKUP_IN_PLACE": inspect.getsource(in_place)}
    script = Script('python3 -c "$CLOUDBACKUP_IN_PLACE"', {**environment(repository, how), **added}, grace=60)
    result = matched(repository, run_script(repository, script, replace(how, timeout=UNLIMITED)))
    said = result.answer(_End, repository.app)
    if said.refused is not None:
        refused = UsageError if said.unusable else AppError
        raise refused(f"{repository.app}: nothing was restored: {said.refused}")
    if said.stuck is not None:
        raise AppError(f"{repository.app}: the restore stopped half-way: {said.stuck}")
    if said.moved is None:
        raise BorgError(f"{repository.app}: the restore told no outcome", "", result)
    return Restored(said.moved, *sizes, result.seconds, result.warnings)
