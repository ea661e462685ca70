"""A repository's published copy: what `publishing` does for it, on the app's host or on the operator's side."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Name, Text, read
from tasks.errors import AppError
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.running import ScriptTimeoutError
from tasks.remote.script import Environment, Script, quote
from tasks.storage.published.host import compare, rclone, segments
from tasks.storage.published.host import plan as host_plan
from tasks.storage.published.host import publish as host_publish
from tasks.storage.published.host import refill as host_refill

INSTALL = "install rclone: `apt install rclone`, or the newest from rclone.org"
PROGRAM = Program(host_publish, (rclone, segments, host_plan, compare, host_refill))
SLOW = "look at the way to the storage: the next backup sends the rest; `defaults: time_limit` is how long it may take"
WAIT = 300  # seconds for which a publishing waits for another one, and for a borg that is at work


@dataclass(frozen=True)
class Way:
    """How rclone reaches the copy from one side: where it runs, its name of the copy, and its settings with secrets.

    `time_limit` are the seconds that one publishing may take: rclone has no limit for a whole run, and was seen to wait
    on an SFTP server whose sessions died. `first` is bash that must run before it, `oldest` the first version of it
    that may be there.
    """

    host: Host
    address: str
    environment: Environment
    time_limit: float
    first: str = ""
    oldest: tuple[int, int] = (1, 60)


@dataclass(frozen=True)
class Folders:
    """Where a side has the repository, what it remembers of the copy, and borg's own files."""

    repository: str
    keep: str
    base: str


class _Answer(Answer):
    """What `publishing` answers, whatever it was asked to do."""

    stopped: Text | None = None
    remedy: Text = ""
    transient: bool = False
    lost: bool = False
    published: Annotated[int, Field(ge=-1, lt=2**32)] | None = None
    refilled: bool = False
    leftovers: list[Name] = Field(default_factory=list)
    fetched: Count = 0
    missing: Count = 0
    changed: list[Name] = Field(default_factory=list)
    size: Count = 0


class LostObjectsError(AppError):
    """The published copy has lost objects; the host has them still."""


@dataclass(frozen=True)
class Loss:
    """What a copy lacks of what was published: how many objects are `missing`, which have another size; `size` is what
    is to be sent, in bytes.
    """

    missing: int
    changed: tuple[str, ...]
    size: int


class Publication:
    """The copy of one app's repository. All raise AppError, with the reason, and what `Host.run` raises."""

    def __init__(self, app: str, way: Way, operator: Way, folders: Folders) -> None:
        self.app = app
        self._way = way
        self._operator = operator
        self._folders = folders
        self._sent = False

    def publish(self, *, early: bool = False) -> int | None:
        """Send what is new; return the last transaction that is published, None when there is no repository.

        `early`, before borg is at work, sends what a run before left unsent; once is enough for each of our own runs.
        """
        if early and self._sent:
            return None
        self._sent = False
        answer = self._on_host("publish", early=early)
        self._sent = answer.published is not None
        return answer.published

    def confirm(self) -> None:
        """Return when the copy is what the host has."""
        self._on_host("confirm")

    def examine(self) -> Loss:
        """Return what the copy lost. Raises AppError also where the host's repository must not replace it."""
        answer = self._on_host("examine")
        return Loss(answer.missing, tuple(answer.changed), answer.size)

    def republish(self) -> int | None:
        """Send what the copy lost and what is new; return the last transaction that is published."""
        return self._on_host("republish").published

    def refill(self) -> int | None:
        """Bring a repository that the host lost back from the copy.

        Returns how many bytes were fetched, None when there was nothing to bring.
        """
        answer = self._on_host("refill", base=self._folders.base)
        if not answer.refilled:
            return None
        if answer.leftovers:
            run(self.app, self._operator, self._folders, {"do": "drop", "leftovers": answer.leftovers})
        return answer.fetched

    def free(self, published: int) -> None:
        """Delete, with the operator's means, what the repository as of that transaction has no more."""
        run(self.app, self._operator, self._folders, {"do": "free", "published": published})

    def _on_host(self, verb: str, **values: Any) -> "_Answer":
        writer = self._way.host.facts().machine
        return run(self.app, self._way, self._folders, {**values, "do": verb, "wait": WAIT, "writer": writer})


def run(app: str, way: Way, folders: Folders, values: Mapping[str, Any]) -> "_Answer":
    """Let `publishing` do something, and return its answer.

    Raises AppError, ScriptTimeoutError once it was ended on its host, and what else `Host.run` raises.
    """
    plan = {**values, "remote": way.address, "repository": folders.repository, "keep": folders.keep}
    plan |= {"oldest": way.oldest, "app": app}
    body = "\n".join(filter(None, (way.first, quote(PROGRAM.words))))
    script = Script(body, {**way.environment, **PROGRAM.environment, "CLOUDBACKUP_PLAN": json.dumps(plan)})
    try:
        output = way.host.run(script, way.time_limit)
    except ScriptTimeoutError as error:
        raise ScriptTimeoutError(f"{app}: the published copy: {error.what}", SLOW) from error
    try:
        answer = read(_Answer, output.stdout)
    except AnswerError:
        said = (output.error_text.strip() or output.text.strip() or f"exit code {output.code}").splitlines()[-1]
        raise AppError(f"{app}: the published copy: {said}") from None
    if answer.stopped is not None:
        kind = LostObjectsError if answer.lost else AppError
        raise kind(f"{app}: the published copy: {answer.stopped}", answer.remedy, transient=answer.transient)
    return answer


def operator_path() -> str:
    """Return a PATH on which an rclone that was installed beside this Python is found as well."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
