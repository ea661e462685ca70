"""A script: bash built from quoted words, sent on standard input together with its secrets, never on a command line.

How it must run was found by experiment (OpenSSH 9.2, bash 5.2, borg 1.2 and 1.4):
- a child that inherits the script's standard input swallows the rest of it, and bash still returns 0: so the whole
  script is one function, whose body has its input from /dev/null;
- a truncated script must run nothing: the call is the last line;
- nothing on the host notices that the operator is gone: so standard input stays open as a lifeline, and a watchdog in
  the script ends the process group at end of file, or when the operator's heartbeat stops;
- bash writes here-documents to disk: there are none.
"""

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.remote.secret import Secret

Words = Sequence[str]
Environment = Mapping[str, str | Secret]

HEARTBEAT = 15.0  # seconds between two heartbeats of the operator
SILENCE = 120  # seconds without a heartbeat after which a script ends itself
LEFTOVER = 5.0  # seconds for background processes of a script to end, and for killed ones to be gone
TICK = 0.2  # seconds between two checks of what runs
LONGEST_SHOWN = 1000  # characters of a value; programs sent in the environment are longer
BASH = ("bash", "--noprofile", "--norc", "-o", "pipefail", "-s")

# For the shell that starts a backup, and so for borg, the dump and all that they start. A host that lacks these tools,
# or a container that forbids it, is backed up all the same. Best effort, lowest level: the idle class could wait
# without end while the dump holds its locks. Lower than what it is: `renice -n` of util-linux sets, it does not add.
NICE = """\
renice -n $(($(nice) + 10)) -p $BASHPID >/dev/null 2>&1 || true
ionice -c 2 -n 7 -p $BASHPID >/dev/null 2>&1 || true"""


def quote(words: Words) -> str:
    """Return `words` as one shell command in which each word stays one word, whatever characters it contains."""
    return shlex.join(words)


def pipe(*commands: Words) -> str:
    """Return a shell pipeline of `commands`; with pipefail, each must succeed."""
    return " | ".join(map(quote, commands))


@dataclass(frozen=True)
class Stream:
    """A bash pipeline that writes bytes to standard output, and the environment it needs."""

    body: str
    environment: Environment = field(default_factory=dict)


def without(content: Stream) -> str:
    """Return bash that removes variables from the environment that only the program behind `content` may know."""
    return quote(("unset", *content.environment)) if content.environment else ":"


@dataclass(frozen=True)
class Script:
    """Bash for a host.

    `body` runs under `set -e` and pipefail in a subshell and may set its own EXIT trap. `environment` is exported to
    it. `grace` is the time in seconds that it has to clean up after it was asked to end, before it is killed. Its
    background processes are ended as well, unless `leaves` says that it leaves some on purpose, such as a server.
    """

    body: str
    environment: Environment = field(default_factory=dict)
    grace: float = 20.0
    leaves: bool = False

    def shown(self) -> str:
        """Return what may be shown to people: the environment with secrets as `***`, and the body."""
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
    """The bytes to send for one run of a script, and the marks between which its output appears.

    What a login shell prints (a banner, motd, errors of its start files) comes before `begin`, on both streams. The
    exit code is valid only if it follows `end`: bash returns 0 for a truncated script too.
    """

    text: bytes
    begin: bytes
    end: bytes


# `set -m` is off in a non-interactive bash, so all children share the process group that sshd (or we, for a local
# host) created for this script alone: `kill 0` reaches them and nothing else. A program may block SIGTERM
# (mariadb-backup does while it waits for its lock, and bash then ends before it): so the watchdog checks every process
# of the group in /proc, except the frame's own two and their parents, and kills what outlives the grace.
#
# The operator may disconnect before the body has started: the body is then ended once it has. Until the frame has
# reported that the body is over, a group that contains only the frame means that the body is yet to come.
#
# The watchdog alone has the script's own input, and no other descriptor is made of it: bash 4.4 frees the buffer of
# such a copy twice, and aborts (tried, 4.4.19). For the same reason `look` reads by descriptor 8.
#
# While the watchdog waits for the operator, SIGUSR1 just ends it. Once it is ending the group, that signal means that
# the body is over, and its exit code is what it found: 1 nothing is running any more, 2 something is (hung in the
# kernel), 3 what is running was left on purpose.
#
# A login's umask that takes rights from the owner itself would keep a script out of its own folders.
#
# The first line is empty: start files that ask a question (`read`) take it for the answer, not half of the function.
_FRAME = """\

main() {{
(( 0$(umask) & 0700 )) && umask 077
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
look() {{
  local stat line pid name own
  members=()
  IFS= read -r -u 8 -d '' line 8</proc/$BASHPID/stat
  line=${{line##*) }} && set -- $line && own=$3
  for stat in /proc/[0-9]*/stat; do
    line= && IFS= read -r -u 8 -d '' line 8<"$stat"
    pid=${{line%% *}} name=${{line#*(}} && name=${{name%)*}} line=${{line##*) }}
    set -- $line
    [ "$3" = "$own" ] && [ "$1" != Z ] && [ "$2" != "$watchdog" ] || continue
    case $pid in $$|$PPID|"$watchdog") ;; *) members+=("$pid ${{name//[^[:print:]]/?}}") ;; esac
  done
}} 2>/dev/null
watchdog() {{
  trap '' TERM INT HUP
  local watchdog=$BASHPID members left
  while IFS= read -r -t {silence} _; do :; done
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
watchdog <&0 >/dev/null 2>&1 &
watchdog=$!
trap : TERM INT HUP
printf '%s\\n' {begin}
printf '%s\\n' {begin} >&2
(
trap 'exit 143' TERM INT HUP
set -e
{exports}
{body}
) </dev/null
code=$?
trap '' TERM INT HUP
{{ kill -USR1 "$watchdog"; wait "$watchdog"; }} 2>/dev/null
case $? in 1|3) left=ended ;; 2) look; left="left ${{members[*]}}" ;; *) left= ;; esac
printf '\\n%s %d %s\\n' {end} "$code" "$left"
printf '\\n%s\\n' {end} >&2
exit "$code"
}}
main; exit $?
"""


_ENDS = "over=1; left=$((left < {leftover} ? left : {leftover}))"
_LEAVES = "exit 3"


def render(script: Script) -> Rendered:
    """Return `script` as the bytes to send. The only function that reveals secrets to a host."""
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
