"""Checks of a drill beyond checksums: do known files have their known content, and do commands accept them?

Checksums show that an archive returns what was saved. Whether that was sound in the first place, or already encrypted
by an intruder, only somebody who knows the files can say: `files.verify` in the inventory.
"""

import json
import posixpath
import secrets
import shlex
from dataclasses import dataclass, replace

from tasks.answers import Answer, AnswerError, Text, read
from tasks.borg.client.runner import UNLIMITED, BorgError, How, run_script
from tasks.borg.host import canary
from tasks.borg.restore import HostileError, Trust, restore_script, restored
from tasks.borg.roots import roots
from tasks.errors import AppError, RefusedError
from tasks.inventory.files import VerifyFiles
from tasks.remote import walled
from tasks.remote.program import Program
from tasks.remote.script import Script, quote
from tasks.remote.walled import Walled
from tasks.remote.walls import NAME as WALLS
from tasks.storage.repository import Repository
from tasks.units import many

PROGRAM = Program(canary)
RESTORED = "CLOUDBACKUP_RESTORED"  # environment variable that names the folder of the restored files
PREFIX = "cloudbackup-drill-"
PATIENCE = 600  # seconds for each command
GRACE = 120.0  # seconds to remove what was restored
MEND = "look for the last sound archive with `inv verify --archive NAME`, or correct what changed on purpose"


@dataclass(frozen=True)
class Judged:
    """Every check passed. `files` are the known files, `commands` ran behind `walls`."""

    files: int
    commands: int
    walls: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The result in words."""
        files = f"{many(self.files, 'known file')} as known" if self.files else ""
        walls = f"behind walls ({', '.join(self.walls)})" if self.walls else "without walls (--trust-archive)"
        commands = f"{self.commands} command{'' if self.commands == 1 else 's'} of `verify` content, {walls}"
        return ", ".join(filter(None, (files, commands if self.commands else "")))


@dataclass(frozen=True)
class Place:
    """The folder below which files are restored; whether the archive has a record.

    `trust`: run even if no walls can be built. Devices and setuid bits are never restored.
    """

    folder: str
    known: bool = False
    trust: bool = False

    @property
    def restoring(self) -> Trust:
        """How far the archive is trusted during the restore."""
        return Trust(private=True, known=self.known or self.trust)


class _Judgement(Answer):
    """The program's answer: see `host/canary.py`."""

    walls: Text
    unwalled: Text
    wrong: list[Text]


class CanaryError(AppError):
    """Files were restored as saved, but are not sound."""


def judge(repository: Repository, archive: str, asked: VerifyFiles, place: Place) -> Judged:
    """Restore the named files into a folder of their own below the place's, judge them there, and remove them.

    Raises CanaryError with everything that is wrong, RefusedError if no walls can be built, AppError if the files
    cannot be restored completely, BorgError, and what `Host.run` raises.
    """
    scratch = posixpath.join(place.folder, PREFIX + secrets.token_hex(8))
    paths = roots(repository, archive, tuple(dict.fromkeys((*dict(asked.sha256), *asked.paths))))
    restoring = restore_script(repository, archive, scratch, paths, place.restoring)
    result = run_script(repository, _script(restoring, asked, scratch, place.trust), How(timeout=UNLIMITED))
    first, _, second = result.text.partition("\n")
    try:
        restored(repository, archive, replace(result, stdout=first.encode()))
    except HostileError as error:
        raise AppError(error.what, error.remedy) from error  # as a RefusedError it would leave the last proof in force
    try:
        said = read(_Judgement, second)
    except AnswerError as error:
        raise BorgError(f"{repository.app}: the drill reported no outcome: {error}", "", result) from error
    if said.unwalled:
        raise RefusedError(f"{repository.host.name}: {said.unwalled.removeprefix('cloudbackup: ')}", walled.REMEDY)
    if said.wrong:
        raise CanaryError(f"{repository.app}: {archive} is not sound: {'; '.join(said.wrong)}", MEND)
    return Judged(len(asked.sha256), len(asked.commands), walled.names(said.walls))


def _script(restoring: Script, asked: VerifyFiles, scratch: str, trust: bool) -> Script:
    """Return the script that restores, judges, and leaves nothing behind."""
    walls = Walled(scratch, keep=(RESTORED,), trust=trust)
    plan = {
        "folder": scratch,
        "sha256": dict(asked.sha256),
        "walls": walls.words(("sh", "-c", f'printf %s "${WALLS}"')),
        "commands": [{"name": shlex.join(words), "words": walls.words(words)} for words in asked.commands],
        "patience": PATIENCE,
    }
    secret = [name for name in restoring.environment if name.startswith("BORG_")]
    folder = quote((scratch,))
    body = f"""\
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  chmod -R u+rwX -- {folder} 2>/dev/null
  rm -rf -- {folder}
  exit "$code"
}}
trap cleanup EXIT
{restoring.body} || exit $?
unset {" ".join(secret)}
{quote((*PROGRAM.words, json.dumps(plan)))} </dev/null
"""
    added = {RESTORED: scratch, **PROGRAM.environment, **walled.PROGRAM.environment}
    return Script(body, {**restoring.environment, **added}, grace=GRACE)
