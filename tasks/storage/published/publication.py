"""A repository's published copy: the operations of `publishing`, on the app's host or on the operator's side."""

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
WAIT = 300  # seconds for which a publishing waits for another one, or for a running borg


@dataclass(frozen=True)
class Way:
    """How rclone reaches the copy from one side: where it runs, its name of the copy, its settings including secrets.

    `time_limit` is in seconds, for one publishing: rclone has no limit for a whole run, and was seen to hang on an SFTP
    server whose sessions died. `first` is bash that must run before it, `oldest` the oldest version of it that is
    accepted.
    """

    host: Host
    address: str
    environment: Environment
    time_limit: float
    first: str = ""
    oldest: tuple[int, int] = (1, 60)


@dataclass(frozen=True)
class Folders:
    """One side's folders: the repository, what is remembered of the copy, and borg's own files."""

    repository: str
    keep: str
    base: str


class _Answer(Answer):
    """The result of `publishing`, for every verb."""

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
    """The published copy has lost objects; the host still has them."""


@dataclass(frozen=True)
class Loss:
    """What a copy lacks of what was published: the number of `missing` objects and the names of `changed`
    ones, whose size differs; `size` is the bytes to send.
    """

    missing: int
    changed: tuple[str, ...]
    size: int


class Publication:
    """The copy of one app's repository. All methods raise AppError with the reason, and what `Host.run` raises."""

    def __init__(self, app: str, way: Way, operator: Way, folders: Folders) -> None:
        self.app = app
        self._way = way
        self._operator = operator
        self._folders = folders
        self._sent = False

    def publish(self, *, early: bool = False) -> int | None:
        """Send what is new; return the last published transaction, None if there is no repository.

        `early`, before borg starts, sends what an earlier run left unsent; once per run of ours is enough.
        """
        if early and self._sent:
            return None
        self._sent = False
        answer = self._on_host("publish", early=early)
        self._sent = answer.published is not None
        return answer.published

    def confirm(self) -> None:
        """Return if the copy matches the host's repository; raise otherwise."""
        self._on_host("confirm")

    def examine(self) -> Loss:
        """Return what the copy lost. Raises AppError also if the host's repository must not replace it."""
        answer = self._on_host("examine")
        return Loss(answer.missing, tuple(answer.changed), answer.size)

    def republish(self) -> int | None:
        """Send what the copy lost and what is new; return the last published transaction."""
        return self._on_host("republish").published

    def refill(self) -> int | None:
        """Restore a repository that the host lost from the copy.

        Return the number of bytes fetched, None if there was nothing to fetch.
        """
        answer = self._on_host("refill", base=self._folders.base)
        if not answer.refilled:
            return None
        if answer.leftovers:
            run(self.app, self._operator, self._folders, {"do": "drop", "leftovers": answer.leftovers})
        return answer.fetched

    def free(self, published: int) -> None:
        """Delete, with the operator's credentials, what the repository no longer has as of that transaction."""
        run(self.app, self._operator, self._folders, {"do": "free", "published": published})

    def _on_host(self, verb: str, **values: Any) -> "_Answer":
        writer = self._way.host.facts().machine
        return run(self.app, self._way, self._folders, {**values, "do": verb, "wait": WAIT, "writer": writer})


def run(app: str, way: Way, folders: Folders, values: Mapping[str, Any]) -> "_Answer":
    """Run one verb of `publishing`, and return its result.

    Raises AppError, ScriptTimeoutError once it was ended on its host, and whatever else `Host.run` raises.
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
    """Return a PATH that includes the folder of this Python, where pip may have installed rclone."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
