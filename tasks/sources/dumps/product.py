"""What a way of making dumps is, and how its commands run where the app's tools are.

Passwords go through standard input into the command's environment, read by a `sh` that runs next to it: an inherited
descriptor survives neither borg nor `docker exec` (tried, borg 1.2.4 and 1.4.5). None is in a command line.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from tasks.inventory.secrets import SecretReference, Strict
from tasks.inventory.values import Words
from tasks.remote.program import Program
from tasks.remote.script import Stream, quote
from tasks.remote.secret import Secret

SECRET = "DUMP_SECRET_"  # noqa: S105 (prefix of variables)
NOTE = "cloudbackup account: "  # before what a product's script writes to standard error for its `left_out`
BLOCK = 65_536  # bytes
NO_SECRET_CAME = "cloudbackup: a password did not come through standard input"  # noqa: S105 (a message)


@dataclass(frozen=True)
class Judge:
    """What a drill runs on a restored dump, its standard input: a program of ours with its plan, or the app's `words`.

    `beside`: the words run where `exec` leads, if they run on the app's own host. `plan` is JSON.
    """

    program: Program | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    words: Sequence[str] = ()
    beside: bool = False


class Product(Strict):
    """One way to make a dump, as the inventory describes it.

    `title` is for people and records. `tells`: the last line of standard error of `load` says what was done, or why
    nothing was changed; lines before it that begin with `warning: ` make the restore a warning.
    """

    title: ClassVar[str]
    tells: ClassVar[bool] = False
    passing: ClassVar[str] = ""  # a regular expression of faults after which another try may succeed
    asides: ClassVar[str] = ""  # and of lines on standard error that do not say why a dump failed
    remedies: ClassVar[Mapping[str, str]] = {}  # what to do, by a regular expression of the fault
    exec: Words = Field((), description="what runs the tools where they live: docker exec -i shop-db")

    @property
    def ends(self) -> str:
        """A regular expression (Python, bytes) that the end of a whole dump matches; empty if it has no certain end."""
        return ""

    @property
    def archive(self) -> bool:
        """Whether a dump is an archive of pg_dump's own format, which tells by its contents whether it is whole."""
        return False

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """The secrets of its commands, by the name of the environment variable in which they expect them."""
        return {}

    @abstractmethod
    def tools(self) -> Sequence[str]:
        """Return the programs that a backup needs where `exec` leads."""

    @abstractmethod
    def dump(self) -> Words:
        """Return the command that writes a dump to standard output."""

    def by_hand(self) -> str:
        """Return what a person may run to see why a dump fails."""
        return quote((*self.exec, *self.dump()))

    @abstractmethod
    def load(self) -> Words:
        """Return the command that reads a dump on standard input and puts it back; empty if there is none."""

    def loads(self) -> str:
        """Return the command that `load` is, for people."""
        return quote(self.load())

    def unloaded(self) -> str:
        """Return what may be done about a dump that no command puts back, to follow `or`; empty if nothing."""
        return ""

    @property
    def load_exec(self) -> Words:
        """What runs `load` where it works; that of all other commands unless a product says otherwise."""
        return self.exec

    def remains(self) -> Words:
        """Return a command that prints a line for each thing a restore that was cut off has left; empty if none."""
        return ()

    def remaining(self, line: str) -> tuple[str, str]:
        """Return what a line of that command is about, and what to do."""
        return line, "the next restore removes it"

    def left_out(self, said: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Return what a dump that ended with 0 lacks, by the lines that its command wrote to standard error."""
        return ()

    @abstractmethod
    def judge(self) -> Judge:
        """Return how a drill judges a restored dump."""


def running(
    exec_: Words, words: Words, secrets: Mapping[str, Secret], source: str = "/dev/null", *, twice: bool = False
) -> Stream:
    """Return bash that runs a command where `exec_` leads, with the file `source` as its standard input.

    `secrets` are by the name of the variable in which the command expects them. `twice`: its standard input is a number
    on a line, the file in so many blocks of BLOCK bytes, which are zeros after its end, and the file again.
    """
    if not secrets and not twice:
        return Stream(f"{quote((*exec_, *words))} <{quote((source,))}")
    feeding = _twice(quote((source,))) if twice else f"cat <{quote((source,))}"
    if not secrets:
        return Stream(f"{{ {feeding}; }} | {quote((*exec_, *words))}")
    reading = [f"IFS= read -r {name} || {{ echo '{NO_SECRET_CAME}' >&2; exit 1; }}; export {name}" for name in secrets]
    inner = quote((*exec_, "sh", "-c", "\n".join([*reading, 'exec "$@"']), "sh", *words))
    variables = {f"{SECRET}{number}": value for number, value in enumerate(secrets.values())}
    printed = " ".join(f'"${name}"' for name in variables)
    return Stream(f"{{ printf '%s\\n' {printed} && {feeding}; }} | {inner}", variables)


def _twice(file: str) -> str:
    size, blocks = f"size=$(stat -Lc %s -- {file})", f"blocks=$(((size + {BLOCK - 1}) / {BLOCK}))"
    zeros = f'head -c "$((blocks * {BLOCK} - size))" /dev/zero'
    return f"{size} && {blocks} && printf '%s\\n' \"$blocks\" && cat <{file} && {zeros} && cat <{file}"
