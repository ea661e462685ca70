"""Examines an app's paths on its host before borg reads them: runs `host/paths.py` and reads its result."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Text, read
from tasks.borg.client.messages import Message
from tasks.borg.host import database_files, links, mounts, nodump, paths, pattern_files, patterns, walk
from tasks.errors import AppError
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Environment, Script, quote

PROGRAM = Program(paths, (links, mounts, patterns, pattern_files, nodump, database_files, walk))
WORDS = quote(PROGRAM.words)  # borg's may follow
SECONDS = 20  # for a walk; a larger tree is examined only in part
SHOWN = 3  # entries of a list in a sentence
NO_PYTHON = 127  # bash: command not found
Pair = Annotated[tuple[Text, Text], Field(strict=False)]  # JSON has lists alone
Form = TypeVar("Form", bound=Answer)
Mounts = Literal["cross", "leave"]


@dataclass(frozen=True)
class Plan:
    """The paths of an app in the inventory: absolute ones; those that may be absent are in `optional` as well.

    `mounts` is what happens to file systems mounted inside a path: `cross` saves them, `leave` leaves them out, None is
    undecided. `mounted` are paths at which a file system must be mounted. What is left out is decided by the first
    pattern that matches, in this order: `patterns` (a sign and a pattern), `exclude`, and the files `patterns_from` on
    the host; then by `exclude_if_present` (names of files), `exclude_caches` and `nodump`. `verified` are the paths
    that a drill asks for.
    """

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

    @property
    def environment(self) -> Environment:
        """The environment of the program on the host."""
        plan = {**dataclasses.asdict(self), "seconds": SECONDS}
        return {**PROGRAM.environment, paths.PLAN: json.dumps(plan)}


class Found(Answer):
    """The findings. `left_out` are (path, reason), the first of `count`.

    `roots` is what borg saves, `links` maps each path that is or contains a link to its real location, `left` are file
    systems left out by the plan, `types` are (path, what it is or leads to: "file", "folder").
    """

    roots: list[Text] = Field(default_factory=list)
    links: list[Pair] = Field(default_factory=list)
    left: list[Text] = Field(default_factory=list)
    left_out: list[Pair] = Field(default_factory=list)
    types: list[Pair] = Field(default_factory=list)
    count: Count = 0


class Walked(Found):
    """The findings of a walk as well: what cannot be read, the first of `unread_count`, and how much there is.

    `files` and `size` (bytes) are None if the time limit came first. `databases` are (product, place), the first of
    `databases_count`; `idle` are patterns that can match nothing: (where it is written, pattern); `without` are the
    paths that a drill asks for and no archive will hold. `fault` is why nothing was examined: a file of patterns.
    """

    unread: list[Pair] = Field(default_factory=list)
    unread_count: Count = 0
    files: Count | None = None
    size: Count | None = None
    databases: list[Pair] = Field(default_factory=list)
    databases_count: Count = 0
    idle: list[Pair] = Field(default_factory=list)
    without: list[Text] = Field(default_factory=list)
    fault: Text = ""


def found_in(messages: Sequence[Message]) -> Found:
    """Return the program's findings among borg's messages; empty if it reported none. Raises AppError."""
    report = next((message.text for message in messages if message.msgid == paths.MSGID), "{}")
    return _answer(Found, report)


def walked(host: Host, plan: Plan) -> Walked:
    """Examine the paths and walk them, as the user that reads them. Raises AppError, and what `Host.run` raises."""
    output = host.run(Script(WORDS, plan.environment), timeout=SECONDS + 60)
    if output.code == NO_PYTHON:
        raise AppError("python3 is not installed on the host", "install it there: `apt install python3`")
    return _answer(Walked, output.text)


def _answer(form: type[Form], text: str) -> Form:
    try:
        return read(form, text)
    except AnswerError as error:
        raise AppError(f"the host's answer about its paths cannot be read: {error}", "look at its python3") from None


def some(values: Sequence[str]) -> str:
    """Return the first of several for a sentence, and how many more there are."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"{'; '.join(values[:SHOWN])}{more}"
