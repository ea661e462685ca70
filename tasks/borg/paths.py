"""Looking at the paths of an app on its host, before borg reads them: what `host/paths.py` does there and found."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Text, read
from tasks.borg.client.messages import Message
from tasks.borg.host import links, mounts, paths, patterns
from tasks.errors import AppError
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Environment, Script, quote

PROGRAM = Program(paths, (links, mounts, patterns))
WORDS = quote(PROGRAM.words)  # borg's may follow
SECONDS = 20  # for a walk; a larger tree is looked at in part
SHOWN = 3  # of a list in a sentence
NO_PYTHON = 127  # bash: no such command
Pair = Annotated[tuple[Text, Text], Field(strict=False)]  # JSON has lists alone
Form = TypeVar("Form", bound=Answer)
Mounts = Literal["cross", "leave"]


@dataclass(frozen=True)
class Plan:
    """What an app's inventory says of its paths; absolute ones, those that may be absent among `optional` as well.

    `mounts` is what becomes of file systems that are mounted inside a path: `cross` saves them, `leave` leaves them
    out, None is undecided. `mounted` are paths at which a file system must be mounted.
    """

    paths: Sequence[str]
    optional: Sequence[str] = ()
    exclude: Sequence[str] = ()
    exclude_caches: bool = True
    mounts: Mounts | None = None
    mounted: Sequence[str] = ()

    @property
    def environment(self) -> Environment:
        """What the program on the host needs."""
        plan = {**dataclasses.asdict(self), "seconds": SECONDS}
        return {**PROGRAM.environment, paths.PLAN: json.dumps(plan)}


class Found(Answer):
    """What was found. `left_out` are path and reason, the first of `count`.

    `roots` is what borg saves, `links` says where each path really lies that is or has a link, `left` are file systems
    that stay out as the plan says.
    """

    roots: list[Text] = Field(default_factory=list)
    links: list[Pair] = Field(default_factory=list)
    left: list[Text] = Field(default_factory=list)
    left_out: list[Pair] = Field(default_factory=list)
    count: Count = 0


class Walked(Found):
    """What a walk found as well: what cannot be read, the first of `unread_count`, and how much there is.

    `files` and `size` (bytes) are None when the time was over first.
    """

    unread: list[Pair]
    unread_count: Count
    files: Count | None
    size: Count | None


def found_in(messages: Sequence[Message]) -> Found:
    """Return what the program told among borg's messages; nothing where it told nothing. Raises AppError."""
    told = next((message.text for message in messages if message.msgid == paths.MSGID), "{}")
    return _answer(Found, told)


def walked(host: Host, plan: Plan) -> Walked:
    """Look at the paths and walk them, as the user that reads them. Raises AppError, and what `Host.run` raises."""
    output = host.run(Script(WORDS, plan.environment), timeout=SECONDS + 60)
    if output.code == NO_PYTHON:
        raise AppError("python3 is not installed on the host", "install it there: `apt install python3`")
    return _answer(Walked, output.text)


def _answer(form: type[Form], text: str) -> Form:
    try:
        return read(form, text)
    except AnswerError as error:
        raise AppError(f"the host told nonsense of its paths: {error}", "look at its python3") from None


def some(values: Sequence[str]) -> str:
    """Return the first of several for a sentence, and how many more there are."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return f"{'; '.join(values[:SHOWN])}{more}"
