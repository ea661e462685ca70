"""Restores files: into a new folder, or in place, with the old data moved aside. All of them, or none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field

from tasks.answers import Answer, Count, Name, Text
from tasks.borg.client.archive_name import TIME_FORMAT
from tasks.borg.client.extract import COMMAND
from tasks.borg.client.runner import UNLIMITED, How, Result, borg_words, environment, run_script
from tasks.borg.host import entries, extraction, free_space, places
from tasks.borg.host import restore as program
from tasks.containers.host import standstill, unit
from tasks.errors import AppError, CloudbackupError, RefusedError, UsageError
from tasks.remote import landlock
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, quote
from tasks.storage.repository import Repository

PROGRAM = Program(program, (landlock, entries, extraction, places, free_space, unit, standstill))
DISTRUSTED = (
    "somebody with the host's key may have made it: look into it with `inv borg.list --archive NAME`; a device is "
    "restored with --trust-archive only, what writes outside of its folder never"
)

UNWALLED = "restore it on a machine with Linux 5.19 or later (--to local), or take the risk: --trust-archive"


class _End(Answer):
    """The program's answer: see `host/restore.py`."""

    kind: Text = ""
    reason: Text = ""
    moved: dict[Name, Name] = Field(default_factory=dict)
    bytes: Count = 0
    entries: Count = 0
    absent: list[Text] = Field(default_factory=list)
    remarks: list[Text] = Field(default_factory=list)
    disarmed: list[Text] = Field(default_factory=list)
    unstarted: list[Text] = Field(default_factory=list)
    left: list[Text] = Field(default_factory=list)
    wall: Text = ""


class HostileError(RefusedError):
    """The archive contains entries that no backup makes."""


@dataclass(frozen=True)
class Restored:
    """The result of a complete restore of an archive, or of some paths of it.

    `moved` maps each restored path to where its old data is now; `size` is bytes, `files` counts all entries, `seconds`
    is the duration. `absent` are paths of which the archive holds nothing. `remarks` are harmless; `doubts` need
    attention. `walled`: borg could write only to its target.
    """

    moved: Mapping[str, str]
    size: int
    files: int
    seconds: float
    absent: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    walled: bool = False


@dataclass(frozen=True)
class Trust:
    """How far an archive is trusted.

    `trusted`: devices, setuid and setgid bits, capabilities and immutable flags are restored. `private`: only its owner
    can read the target folder. `partial`: the archive may lack some of the paths. `known`: the archive has a record;
    one that is neither known nor trusted is extracted behind a wall of the kernel, or not at all.
    """

    trusted: bool = False
    private: bool = False
    partial: bool = False
    known: bool = False

    @property
    def plan(self) -> dict[str, bool]:
        """The trust settings in the program's plan."""
        return {"trusted": self.trusted, "walled": not (self.trusted or self.known)}


@dataclass(frozen=True)
class Mounted:
    """Paths to replace, and the containers that are stopped while one is replaced that they have mounted."""

    paths: Sequence[str]
    containers: Sequence[str] = ()


OWN = Trust(trusted=True)
FOREIGN = Trust(private=True)


def restore_to(
    repository: Repository,
    archive: str,
    directory: str,
    paths: Sequence[str] = (),
    trust: Trust = FOREIGN,
) -> Restored:
    """Extract an archive, or what is at and below `paths`, into a new or empty folder of the host.

    Everything keeps its path below the folder. If not everything could be extracted, what was is kept in the folder's
    `incomplete`, and the folder holds nothing else. Raises UsageError for a folder that is not absolute or not empty,
    RefusedError for an archive that is not safe to extract, AppError if there is too little space or not everything
    came, BorgError, and what `Host.run` raises.
    """
    todo = restore_script(repository, archive, directory, paths, trust)
    return restored(repository, archive, run_script(repository, todo, How(timeout=UNLIMITED)), directory)


def restore_script(repository: Repository, archive: str, directory: str, paths: Sequence[str], trust: Trust) -> Script:
    """Return the script that `restore_to` runs. Raises UsageError."""
    _absolute((directory, *paths))
    plan = {"directory": directory, "private": trust.private, "paths": list(paths), **trust.plan}
    return _script(repository, archive, plan)


def restore_in_place(
    repository: Repository, archive: str, paths: Sequence[str] | Mounted, now: datetime, trust: Trust = OWN
) -> Restored:
    """Restore `paths` in place, each as a whole; the old data is kept next to it (see `host/places.py`).

    Everything is checked and extracted before anything changes; then all paths are replaced, or none. Raises
    UsageError, RefusedError for an archive that is not safe to extract, AppError with the reason if it is not possible
    or not everything came, BorgError, and what `Host.run` raises.
    """
    wanted = paths if isinstance(paths, Mounted) else Mounted(paths)
    plan = {"stamp": now.strftime(TIME_FORMAT), "paths": list(outermost(wanted.paths))}
    more = {"partial": trust.partial, "containers": list(wanted.containers)}
    todo = _script(repository, archive, {**plan, **trust.plan, **more})
    return restored(repository, archive, run_script(repository, todo, How(timeout=UNLIMITED)))


def require_empty(host: Host, app: str, directory: str) -> None:
    """Raise UsageError if a folder of the host is not empty."""
    looking = f"if test -e {quote((directory,))}; then ls -A -- {quote((directory,))}; fi"
    end = host.run(Script(looking), timeout=60)
    if not end.ok or end.stdout.strip():
        reason = f"{directory} is not empty" if end.ok else f"{directory} is not a folder"
        raise UsageError(f"{app}: nothing was restored: {reason}", "name a new or empty folder")


def outermost(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths in order, without those below others. Raises UsageError for / and relative paths."""
    _absolute(paths)
    clean = sorted({PurePosixPath("/", path.lstrip("/")) for path in paths})
    if not clean or PurePosixPath("/") in clean:
        raise UsageError("name the paths to put back; / itself can only be restored to another folder")
    return tuple(str(path) for path in clean if not set(path.parents) & set(clean))


def _absolute(paths: Sequence[str]) -> None:
    wrong = [path for path in paths if not path.startswith("/") or ".." in PurePosixPath(path).parts]
    if wrong:
        raise UsageError(f"paths on the host must be absolute: {', '.join(wrong)}")


def _script(repository: Repository, archive: str, plan: Mapping[str, Any]) -> Script:
    words = {"list": borg_words(repository, ("list",)), "extract": borg_words(repository, COMMAND)}
    added = {"CLOUDBACKUP_PLAN": json.dumps({**plan, **words, "archive": f"::{archive}"}), **PROGRAM.environment}
    return Script(quote(PROGRAM.words), {**environment(repository), **added}, grace=60)


def restored(repository: Repository, archive: str, result: Result, directory: str | None = None) -> Restored:
    """Return the result of a restore's script, into `directory` or in place. Raises as `restore_to`."""
    answer = result.answer(_End, repository.app)
    if answer.kind:
        raise _fault(repository, archive, answer, f" in {directory}/{program.INCOMPLETE}" if directory else "")
    return Restored(
        answer.moved,
        answer.bytes,
        answer.entries,
        result.seconds,
        tuple(answer.absent),
        tuple(answer.remarks),
        (
            *(f"without setuid, setgid bits and capabilities: {text}" for text in answer.disarmed),
            *answer.unstarted,
            *(f"{folder} could not be removed: remove it by hand" for folder in answer.left),
        ),
        walled=bool(answer.wall),
    )


def _fault(repository: Repository, archive: str, answer: _End, where: str) -> CloudbackupError:
    left = (f"{folder} could not be removed: remove it by hand" for folder in answer.left)
    reason = "; ".join((answer.reason, *left))
    match answer.kind:
        case "unusable":
            return UsageError(f"{repository.app}: nothing was restored: {reason}", "name a new or empty folder")
        case "unwalled":
            return RefusedError(f"{repository.app}: {archive} was not restored: {reason}", UNWALLED)
        case "hostile":
            return HostileError(f"{repository.app}: {archive} was not restored: {reason}", DISTRUSTED)
        case "lost" | "full":
            kept = f"what came is{where}; it is not whole" if where else "what was there is as it was"
            if answer.kind == "full":
                kept = "make room there, or raise the quota; what was there is as it was"
            return AppError(f"{repository.app}: {archive} was not restored: {reason}", kept)
        case "stuck":
            return AppError(f"{repository.app}: the restore stopped half-way: {reason}")
        case _:
            return AppError(f"{repository.app}: nothing was restored: {reason}")
