"""A container of its own for work on what comes out of a backup, of the image that the app's database runs in.

The database's tools are those of the server, and the host needs none. The container has no network and no right but
those to change users and owners; of the host it sees its programs, read-only, and the folders that it works in. It is
the wall around what it does.
"""

import json
import posixpath
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import Field

from tasks.answers import Answer, AnswerError, Text, last_line
from tasks.containers.host import image
from tasks.inventory.values import CONTAINER
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, Words, quote

PROGRAM = Program(image)
ENGINES = ("docker", "podman", "nerdctl")
VALUED = ("-e", "--env", "-u", "--user", "-w", "--workdir", "--env-file", "--detach-keys")  # options of `docker exec`
WALL = "a container of its own"
WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls
NAME = "cloudbackup-"
LONGEST = 86_400  # seconds until a container that nobody ended is gone
# To give what was restored to another user, and to become that one.
RIGHTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL")


class _Reply(Answer):
    fault: Text
    image: Text = ""
    folders: list[Text] = Field(default_factory=list, max_length=10)
    python: list[Text] = Field(default_factory=list, max_length=10)


@dataclass(frozen=True)
class OneOff:
    """A container to be made on a host: by `engine`, of `image`, with `folders` of its programs and `python`."""

    engine: tuple[str, ...]
    image: str
    folders: tuple[str, ...]
    python: tuple[str, ...]
    name: str = field(default_factory=lambda: NAME + secrets.token_hex(8))

    def another(self) -> "OneOff":
        """Return a further one."""
        return replace(self, name=NAME + secrets.token_hex(8))

    def begin(self, places: Sequence[str]) -> str:
        """Return bash that starts it, with these folders of the host under their own paths."""
        mounts = [f"--volume={place}:{place}" for place in places]
        mounts += [f"--volume={each}:{image.MOUNTED}{each}:ro" for each in self.folders]
        options = ["--detach", "--rm", f"--name={self.name}", "--network=none", "--user=0:0", "--userns=host"]
        options += ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", *(f"--cap-add={each}" for each in RIGHTS)]
        options += ["--security-opt=no-new-privileges", "--security-opt=label=disable", "--entrypoint=sleep"]
        words = (*self.engine, "run", *options, *mounts, self.image, str(LONGEST))
        return f"{quote(words)} </dev/null >/dev/null"

    @property
    def end(self) -> str:
        """Return bash that ends it, with all that runs in it."""
        # `rm --force` of Podman waits ten seconds for what does not end by itself; the container removes itself.
        verbs = (("kill", self.name), ("rm", "--force", self.name))
        return "; ".join(f"{quote((*self.engine, *verb))} </dev/null >/dev/null 2>&1 || :" for verb in verbs)

    def ownership(self, folder: str) -> str:
        """Return bash that gives what was made in a folder to whoever runs it; it fails if not all are plain files."""
        odd = f"{quote(('find', folder, '!', '-type', 'f', '!', '-type', 'd'))} | head -n 1"
        said = f"echo 'cloudbackup: {self.name} left something that is not a plain file' >&2"
        return f"""\
[ -z "$({odd})" ] || {{ {said}; exit 1; }}
chown -hR "$(id -u):$(id -g)" {quote(("--", folder))}"""

    def exec(self, keep: Sequence[str] = (), folder: str = "/") -> Words:
        """Return the words that run a command in it, in `folder`; `keep` are the variables that are passed to it."""
        passed = [f"--env={WALLS}={json.dumps([WALL])}", *(f"--env={name}" for name in keep)]
        return (*self.engine, "exec", "-i", f"--workdir={folder}", *passed, self.name)

    def program(self, words: Words, keep: Sequence[str], folder: str) -> Words:
        """Return the words that run a program of ours, given as `python3 ...`, in it."""
        assert words[0] == "python3"
        return (*self.exec(keep, folder), *self.python, *words[1:])


def one_off(host: Host, exec_: Words) -> OneOff | None:
    """Return a container of the image in which the words of an app's `exec` run a command.

    None if they do not lead into a container of an engine, or if it cannot be asked. Raises HostError.
    """
    led = container_of(exec_)
    if led is None:
        return None
    output = host.run(Script(quote((*PROGRAM.words, *led[0], led[1])), PROGRAM.environment), timeout=120)
    try:
        reply = last_line(_Reply, output.text)
    except AnswerError:
        return None
    plain = all(each.startswith("/") and posixpath.normpath(each) == each for each in reply.folders)
    if reply.fault or not plain or len(reply.python) != 4 or not re.fullmatch("(sha256:)?[0-9a-f]{12,64}", reply.image):
        return None
    return OneOff(led[0], reply.image, tuple(reply.folders), tuple(reply.python))


def container_of(exec_: Words) -> tuple[tuple[str, ...], str] | None:
    """Return the engine's words and the container of `docker exec ... NAME ...`; None for anything else."""
    words = list(exec_)
    at = next((number for number, word in enumerate(words) if posixpath.basename(word) in ENGINES), None)
    if at is None or words[at + 1 : at + 2] not in (["exec"], ["container"]):
        return None
    rest = iter(words[at + 2 :] if words[at + 1] == "exec" else words[at + 3 :])
    for word in rest:
        if word in VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            return (tuple(words[: at + 1]), word) if re.fullmatch(CONTAINER, word) else None
    return None
