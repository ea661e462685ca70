"""Facts about a host: home, clock, memory, its id among borg's clients; and, asked separately, its tools' versions."""

import re
import secrets
from dataclasses import dataclass, field

from tasks import answers
from tasks.remote.openssh import OpenSsh, answered, ask_text
from tasks.remote.script import Script

LONGEST = 1024  # characters of one value that a host reports

_ASK = r"""
say() { printf '%s=%s\n' "$1" "$2"; }
say home "$HOME"
if [ ! -w "$HOME" ]; then say home_closed yes; fi
say user "$(id -un)"
say hostname "$(uname -n)"
say machine "$(cat /etc/machine-id /var/lib/dbus/machine-id 2>/dev/null | head -n 1 || true)"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.bootsessionuuid 2>/dev/null || true)"
say processes "$(readlink /proc/self/ns/pid 2>/dev/null || true)"
say memory "$(awk '/^MemAvailable:/ { print $2 * 1024 }' /proc/meminfo 2>/dev/null || true)"
{
  group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
  while [ "$group" != /sys/fs ] && [ "$group" != "" ]; do
    read -r limit <"$group/memory.max" && say "memory_of_${#group}" "$limit"
    group=${group%/*}
  done
  for group in "" "$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)"; do
    read -r limit <"/sys/fs/cgroup/memory$group/memory.limit_in_bytes" && say "memory_of_v1_${#group}" "$limit"
  done
} 2>/dev/null || true
say bash "$BASH_VERSION"
say now "$(date +%s)"
"""
_ASK_TOOLS = r"""
for tool in borg python3 rclone; do
  if command -v "$tool" >/dev/null; then printf '%s=%s\n' "$tool" "$("$tool" --version 2>&1 | head -n 1 || true)"; fi
done
"""

FACTS_SCRIPT = Script(f"{_ASK}{ask_text()}\n")
TOOLS_SCRIPT = Script(_ASK_TOOLS)  # separate: borg takes as long to print its version as all facts together


@dataclass(frozen=True)
class Facts:
    """What a host reports. Memory is in bytes, None if not reported: what is free there, or less if a
    control group limits the login (cgroups(7): in version 1 its own, and the top one, which a container sees).

    `now` is the host's clock, in seconds since the epoch; `ahead` is how many seconds it is ahead of this machine's.
    """

    home: str
    user: str
    machine: str
    memory_available: int | None
    bash: str | None
    ssh: OpenSsh = field(default_factory=lambda: OpenSsh(None, frozenset()))
    now: int | None = None
    ahead: float | None = None
    home_closed: bool = False  # the login cannot write in its own home, where borg keeps its cache and security data


@dataclass(frozen=True)
class Tools:
    """The versions of a host's tools; None for a tool that is not installed."""

    borg: str | None
    python3: str | None
    rclone: str | None = None
    borg_said: str = ""  # its first line, printable, if that is not a version: a borg that does not start
    python3_said: str = ""  # the same of python3


def parse_facts(text: str) -> Facts:
    """Return the facts parsed from the script's output."""
    said = _said(text)
    home = said.get("home", "")
    return Facts(
        home=home if home.startswith("/") and home.isprintable() else "/root",
        user=said.get("user", ""),
        machine=_machine(said),
        memory_available=_memory(said),
        bash=_version(said, "bash"),
        home_closed=said.get("home_closed") == "yes",
        ssh=answered(said),
        now=int(said["now"]) if re.fullmatch(r"\d{1,11}", said.get("now", "")) else None,
    )


def parse_tools(text: str) -> Tools:
    """Return the versions parsed from the script's output."""
    said = _said(text)
    names = {"borg": "borg ", "python3": "Python ", "rclone": "rclone "}
    found = {tool: _version(said, tool) for tool, name in names.items() if said.get(tool, "").startswith(name)}
    return Tools(
        borg=found.get("borg"),
        python3=found.get("python3"),
        rclone=found.get("rclone"),
        borg_said="" if found.get("borg") else _printable(said.get("borg", "")),
        python3_said="" if found.get("python3") else _printable(said.get("python3", "")),
    )


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:200]


def apart(clock: float, before: float, after: float) -> float:
    """Return how many seconds a clock, read between our times `before` and `after`, is ahead; 0 if it may be right."""
    if before - 1 <= clock <= after + 1:  # clocks are reported in whole seconds
        return 0.0
    return clock - (before + after) / 2


def _said(text: str) -> dict[str, str]:
    return {key: value[:LONGEST] for key, _, value in (line.partition("=") for line in text.splitlines()) if value}


def _memory(said: dict[str, str]) -> int | None:
    """Return the free memory of the host, or the limit of a control group around the login if that is less."""
    every = (_bytes(value) for name, value in said.items() if name == "memory" or name.startswith("memory_of_"))
    return min((each for each in every if each is not None), default=None)


def _bytes(text: str) -> int | None:
    """Return a number of bytes; awk may print it as 1.6e+10."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if 0 <= number <= answers.LARGEST else None


def _version(said: dict[str, str], key: str) -> str | None:
    found = re.search(r"[0-9]{1,4}\.[0-9]{1,6}[.\w]{0,20}", said.get(key, ""), re.ASCII)
    return found.group() if found else None


def _machine(said: dict[str, str]) -> str:
    """Return a name unique to this running machine or container, for BORG_HOST_ID.

    Without a machine-id it has that of the boot, or, if there is none either, a random one: hosts of one name in their
    first PID namespaces would be the same to borg. What such a host left locked, nobody unlocks by itself.

    borg removes a dead process's lock if the lock's host id is its own. Two PID namespaces that share an id would break
    each other's live locks (tried, borg 1.2.4 and 1.4.5), so the namespace is part of the name.
    """
    machine = said.get("machine", "")
    if not re.fullmatch("[0-9a-f-]{32,36}", machine) or len(set(machine)) == 1:
        machine = said.get("boot") or secrets.token_hex(16)
    parts = (said.get("hostname", ""), machine, said.get("processes", ""))
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts if part)
