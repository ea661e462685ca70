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
LEFTOVER = 5.0  # seconds for what a script left behind to end, and for what was killed to be gone
TICK = 0.2  # seconds between two looks at what runs
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
    to it. `grace` is the time in seconds that it has to clean up when it is told to end, before it is killed. What it
    left in the background is then ended as well, but for one that `leaves` programs on purpose: a server, started.
    """

    body: str
    environment: Environment = field(default_factory=dict)
    grace: float = 20.0
    leaves: bool = False

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
# host) made for this script alone: `kill 0` reaches them and nobody else. A program may block SIGTERM (mariadb-backup
# does while it waits for its lock, and bash then ends before it): so the watchdog looks at every process of the group
# in /proc, but the frame's own two and what started them, and kills what outlives the grace.
#
# The operator may be gone before the body has begun: so it is ended once it is there, and until the frame has said that
# the body is over, a group of nobody but the frame means that the body is still to come.
#
# While it waits for the operator, SIGUSR1 simply ends the watchdog. Once it ends the group, that signal means that the
# body is over, and its exit code is what it saw: 1 nothing runs any more, 2 something does (hung in the kernel), 3 what
# runs is meant to.
_FRAME = """\
main() {{
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
look() {{
  local stat line pid name own
  members=()
  IFS= read -r -d '' line </proc/$BASHPID/stat
  line=${{line##*) }} && set -- $line && own=$3
  for stat in /proc/[0-9]*/stat; do
    line= && IFS= read -r -d '' line <"$stat"
    pid=${{line%% *}} name=${{line#*(}} && name=${{name%)*}} line=${{line##*) }}
    set -- $line
    [ "$3" = "$own" ] && [ "$1" != Z ] && [ "$2" != "$watchdog" ] || continue
    case $pid in $$|$PPID|"$watchdog") ;; *) members+=("$pid ${{name//[^[:print:]]/?}}") ;; esac
  done
}} 2>/dev/null
watchdog() {{
  trap '' TERM INT HUP
  local watchdog=$BASHPID members left
  while IFS= read -r -t {silence} _; do :; done <&9
  local over= told=
  left={ticks}
  trap {over} USR1
  for ((; left > 0; left--)); do
    look
    if [ ${{#members[@]}} != 0 ]; then
      [ "$told" ] || kill -TERM 0
      told=1
    elif [ "$over" ] || ! kill -0 $$; then
      exit 1
    fi
    sleep {tick}
  done
  trap '' USR1
  for ((left = {leftover}; left > 0; left--)); do
    look
    [ ${{#members[@]}} != 0 ] || exit 1
    kill -KILL "${{members[@]%% *}}"
    sleep {tick}
  done
  exit 2
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
trap '' TERM INT HUP
{{ kill -USR1 "$watchdog"; wait "$watchdog"; }} 2>/dev/null
case $? in 1|3) left=ended ;; 2) look; left="left ${{members[*]}}" ;; *) left= ;; esac
printf '\\n%s %d %s\\n' {end} "$code" "$left"
printf '\\n%s\\n' {end} >&2
return "$code"
}}
main 9<&0 </dev/null; exit $?
"""


_ENDS = "over=1; left=$((left < {leftover} ? left : {leftover}))"
_LEAVES = "exit 3"


def render(script: Script) -> Rendered:
    """Return `script` as the bytes to send. The only place that reveals secrets to a host."""
    mark = "cloudbackup-" + secrets.token_hex(16)
    begin, end = mark + "-begin", mark + "-end"
    exports = "\n".join(f"export {name}={_revealed(value)}" for name, value in script.environment.items())
    text = _FRAME.format(
        silence=SILENCE,
        ticks=round(script.grace / TICK),
        tick=TICK,
        leftover=round(LEFTOVER / TICK),
        over=quote((_LEAVES if script.leaves else _ENDS.format(leftover=round(LEFTOVER / TICK)),)),
        begin=begin,
        end=end,
        exports=exports or ":",
        body=script.body or ":",
    )
    return Rendered(text.encode("utf-8", "surrogateescape"), begin.encode(), end.encode())
