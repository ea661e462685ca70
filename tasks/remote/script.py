"""A script: bash made of quoted words, sent on standard input with its secrets, never on a command line.

How it must run was found by experiment (OpenSSH 9.2, bash 5.2, borg 1.2 and 1.4):
- a child that inherits the script's standard input swallows the rest of it and bash still returns 0: so the whole
  script is one function, called with its input from /dev/null;
- a script cut short must run nothing: the call is the last line;
- nothing on the host notices a lost operator: so standard input stays open as a lifeline, and a watchdog in the
  script ends the process group at its end, or when the operator's heartbeat stays away;
- bash writes here-documents to disk: there are none.
"""

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.remote.secret import Secret

Words = Sequence[str]
Environment = Mapping[str, str | Secret]

HEARTBEAT = 15.0  # seconds between two signs of life of the operator
SILENCE = 120  # seconds without one after which a script ends itself
LONGEST_SHOWN = 1000  # characters of a value; programs that travel in the environment are longer
BASH = ("bash", "--noprofile", "--norc", "-o", "pipefail", "-s")


def quote(words: Words) -> str:
    """Return `words` as one shell command in which each word stays one word, whatever it holds."""
    return shlex.join(words)


def pipe(*commands: Words) -> str:
    """Return a shell pipeline of `commands`; with pipefail each of them must succeed."""
    return " | ".join(map(quote, commands))


@dataclass(frozen=True)
class Stream:
    """A bash pipeline that writes bytes to its standard output, and what it needs in its environment."""

    body: str
    environment: Environment = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """Bash for a host.

    `body` runs under `set -e` and pipefail in a subshell and may set an EXIT trap of its own. `environment` is exported
    to it. `grace` is the time in seconds that it has to clean up when it is told to end, before it is killed.
    """

    body: str
    environment: Environment = field(default_factory=dict)
    grace: float = 20.0

    def shown(self) -> str:
        """Return what a person may see: the body and the environment, secrets as `***`."""
        exports = [f"export {name}={_plain(value)}" for name, value in self.environment.items()]
        return "\n".join([*exports, self.body])


def _plain(value: str | Secret) -> str:
    if isinstance(value, Secret):
        return str(value)
    return shlex.quote(value) if len(value) <= LONGEST_SHOWN else f"'...'  # {len(value)} characters"


def _revealed(value: str | Secret) -> str:
    return shlex.quote(value.reveal() if isinstance(value, Secret) else value)


@dataclass(frozen=True)
class Rendered:
    """The bytes to send for one run of a script, and the marks between which its output stands.

    What a login shell prints (a banner, motd, errors of its start files) comes before `begin`, on both streams. The
    exit code counts only when it follows `end`: bash returns 0 for a script that was cut short as well.
    """

    text: bytes
    begin: bytes
    end: bytes


# `set -m` is off in a non-interactive bash, so all children share the process group that sshd (or we, for a local
# host) made for this script alone: `kill 0` reaches them and nobody else.
_FRAME = """\
main() {{
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
watchdog() {{
  trap '' TERM INT HUP
  while IFS= read -r -t {silence} _; do :; done <&9
  kill -TERM 0
  for ((waited = 0; waited < {ticks}; waited++)); do
    kill -0 $$ || exit 0
    sleep 0.2
  done
  kill -KILL 0
}}
watchdog >/dev/null 2>&1 &
watchdog=$!
exec 9<&-
trap : TERM INT HUP
printf '%s\\n' {begin}
printf '%s\\n' {begin} >&2
(
trap 'exit 143' TERM INT HUP
set -e
{exports}
{body}
)
code=$?
disown "$watchdog"
kill -KILL "$watchdog"
printf '\\n%s %d\\n' {end} "$code"
printf '\\n%s\\n' {end} >&2
return "$code"
}}
main 9<&0 </dev/null; exit $?
"""


def render(script: Script) -> Rendered:
    """Return `script` as the bytes to send. The only place that reveals secrets to a host."""
    mark = "cloudbackup-" + secrets.token_hex(16)
    begin, end = mark + "-begin", mark + "-end"
    exports = "\n".join(f"export {name}={_revealed(value)}" for name, value in script.environment.items())
    text = _FRAME.format(
        silence=SILENCE,
        ticks=round(script.grace / 0.2),
        begin=begin,
        end=end,
        exports=exports or ":",
        body=script.body or ":",
    )
    return Rendered(text.encode("utf-8", "surrogateescape"), begin.encode(), end.encode())
