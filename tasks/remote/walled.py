"""Commands on hosts that read data from an archive, isolated by `walls`, which is sent there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.answers import LONGEST, AnswerError, parse
from tasks.errors import RefusedError
from tasks.remote import confinement, key_files, landlock, own_root, walls
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.script import Words

PROGRAM = Program(
    walls, (own_root, landlock, confinement, key_files)
)  # its environment must be in a script that runs `Walled.words`
REFUSED = walls.REFUSED
REMEDY = (
    "allow user namespaces there (kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor) or install"
    " bubblewrap, do it on another host (--to), or run it with the rights that you have there: --trust-archive"
)


@dataclass(frozen=True)
class Walled:
    """How a command is isolated: it can write only to `folder` and `also`.

    `keep` are the variables that are passed to it; `trust`: it may run without walls if none can be built; `keys` is an
    option file of mariadb-backup below `folder`, whose encryption keys it gets; `owner`: what it leaves behind is given
    to the owner of `folder`, and must be plain files only.
    """

    folder: str
    also: Sequence[str] = ()
    keep: Sequence[str] = ()
    trust: bool = False
    keys: str | None = None
    owner: bool = False

    def words(self, command: Words) -> Words:
        """Return the words that run `command` behind walls."""
        plan = {
            "folder": self.folder,
            "also": list(self.also),
            "keep": list(self.keep),
            "trust": self.trust,
            "keys": self.keys,
            "owner": self.owner,
        }
        return (*PROGRAM.words, json.dumps(plan), *command)


def require(output: Output, context: str) -> None:
    """Raise RefusedError if a script ended because walls could not be built."""
    if output.code == REFUSED:
        lines = [line for line in output.error_text.splitlines() if line.startswith("cloudbackup: ")]
        ours = [line.removeprefix("cloudbackup: ") for line in lines]
        built = [line for line in ours if line.startswith(walls.WITHOUT)]  # others may say that they ended by it
        why = (built or ours or [walls.WITHOUT])[-1]
        raise RefusedError(f"{context}: {why}", REMEDY if why.startswith(walls.WITHOUT) else "")


def names(text: str) -> tuple[str, ...]:
    """Return the walls that a command reported."""
    try:
        values = parse(text, LONGEST)
    except AnswerError:
        return ()
    return tuple(str(each) for each in values) if isinstance(values, list) else ()
