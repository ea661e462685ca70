"""Where our programs work on what came out of an archive: behind walls, or in a container of the database's image."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.containers.one_off import OneOff
from tasks.remote.script import Stream, Words, without
from tasks.remote.walled import Walled

# MYSQL_PWD is read from an option file that the container does not see, and passed to the client alone.
_ASKING = 'MYSQL_PWD=$(sed -n "s/^password=//p" "$1") && export MYSQL_PWD && shift && exec "$@"'
_CLIENT = 'for tool in mariadb mysql; do command -v "$tool" >/dev/null && break; done; exec "$tool" "$@"'


@dataclass(frozen=True)
class Enclosure:
    """The folder `scratch` of a host, and what is around the programs in it.

    `inside` is the container, which is made for it; None for walls. `keep` are the variables that the programs get.
    `trust`: they may run without walls if none can be built.
    """

    scratch: str
    keep: Sequence[str]
    inside: OneOff | None = None
    trust: bool = False

    def begin(self, secrets: Stream) -> str:
        """Return bash that makes it, without the environment of `secrets`; `scratch` is there."""
        return f"( {without(secrets)}\n{self.inside.begin((self.scratch,))} )" if self.inside else ":"

    @property
    def end(self) -> str:
        """Return bash that ends it, with all that runs in it."""
        return self.inside.end if self.inside else ":"

    def words(self, command: Words, keys: str | None = None) -> Words:
        """Return the words that run a program of ours in it; `keys` is as in `Walled`, and a container has no other."""
        if self.inside:
            return self.inside.program(command, self.keep, self.scratch)
        return Walled(self.scratch, keep=self.keep, trust=self.trust, keys=keys).words(command)

    def client(self, options: str, socket: str, user: str) -> Words:
        """Return the words that run MariaDB's client on a server in it, by an option file outside of it."""
        if not self.inside:
            return ("mariadb", f"--defaults-file={options}")
        login = (f"--socket={socket}", f"--user={user}", "--skip-local-infile", "--default-character-set=utf8mb4")
        within = (*self.inside.exec(("MYSQL_PWD",)), "sh", "-c", _CLIENT, "sh", "--no-defaults", *login)
        return ("sh", "-c", _ASKING, "sh", options, *within)
