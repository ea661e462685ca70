"""Finds out which server the inventory's `stop` would stop. Runs alone on the host.

    python3 -c "$SERVICE" JSON

JSON: `datadir` of the app's server, and `stop`, the words of the command. A host may run two servers, and stopping the
wrong one takes another app's database down. If the command names a systemd unit or a container, these tell beforehand
which processes are theirs; other commands cannot be judged.

Standard output is JSON: `fault` and `remedy`, both empty if nothing is wrong or known. Standard library only, Python
3.8 and later.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SERVERS = ("mariadbd", "mysqld")
CONTAINERS = ("docker", "podman", "nerdctl")
SHOWN = 120  # characters of a server's command line
PATIENCE = 20  # seconds for an answer
UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.MULTILINE)  # in a process's cgroups, proc(5)


class Ended(NamedTuple):
    """What a command stops: its name for people, its first process (0: none runs), and its cgroup."""

    name: str
    process: int
    group: str = ""

    def holds(self, pid: int) -> bool:
        """Return whether a process belongs to it."""
        return self.process != 0 and (self.process in (pid, *ancestors(pid)) or self.within(pid))

    def within(self, pid: int) -> bool:
        """Return whether a process is in its cgroup."""
        return self.group not in ("", "/") and any(
            line.endswith(self.group) or f"{self.group}/" in line for line in groups(pid).splitlines()
        )


def ended(words: list[str]) -> Ended | None:
    """Return what `stop` stops; None if unknown."""
    plain = [word for word in words if word not in ("sudo", "-n", "doas")]
    name = os.path.basename(plain[0]) if plain else ""
    if name == "systemctl" and "stop" in plain:
        verb = plain.index("stop")
        units = [word for word in plain[verb + 1 :] if not word.startswith("-")]
        return unit(plain[:verb], units[0]) if len(units) == 1 else None
    if name == "service" and plain[2:] == ["stop"]:
        return unit(["systemctl"], plain[1])
    if name in CONTAINERS and plain[1:2] in (["stop"], ["kill"]):
        return container(plain[0], plain[-1])
    return None


def unit(command: list[str], name: str) -> Ended | None:
    """Return the processes of a systemd unit."""
    said = answer([*command, "show", "--property=LoadState,MainPID,ControlGroup", name])
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if not found.get("MainPID", "").isdigit() or found.get("LoadState") == "not-found":
        return None  # no systemd here, or the command fails and reports the error itself
    return Ended(f"the unit {name}", int(found["MainPID"]), found.get("ControlGroup", ""))


def container(command: str, name: str) -> Ended | None:
    """Return the processes of a container."""
    said = answer([command, "inspect", "--format", "{{.State.Pid}}", name]).strip()
    return Ended(f"the container {name}", int(said)) if said.isdigit() else None


def answer(words: list[str]) -> str:
    """Return a program's output; empty if it does not exist or fails."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def servers() -> dict[int, str]:
    """Return the database servers on the host: their process ids, each with the beginning of its command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() in SERVERS:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line:  # a zombie has none
                    found[int(entry.name)] = "".join(
                        each if each.isprintable() else "?" for each in line.strip()[:SHOWN]
                    )
        except OSError:  # it has exited meanwhile
            continue
    return found


def serving(datadir: str) -> list[int]:
    """Return the processes of servers whose working directory is the data directory. They may be in a container."""
    found = []
    for pid in servers():
        try:
            if os.path.samefile(f"/proc/{pid}/cwd", datadir):
                found.append(pid)
        except OSError:  # another user's
            continue
    return found


def groups(pid: int) -> str:
    """Return the cgroups of a process; empty if it has exited."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def ancestors(pid: int) -> list[int]:
    """Return the ancestors of a process."""
    found: list[int] = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


def judged(datadir: str, words: list[str]) -> tuple[str, str]:
    """Return what is wrong with `stop`, and the remedy; both empty if nothing is wrong or known."""
    whom = ended(words)
    ours = serving(datadir)
    if whom is None or any(whom.holds(pid) for pid in ours):
        return "", ""
    others = [line for pid, line in servers().items() if whom.holds(pid)]
    if not ours and not others:
        return "", ""
    does = f"would stop another server ({others[0]})" if others else f"would stop nothing: {whom.name} does not run"
    own = "; ".join(f"process {pid}{named(pid)}" for pid in ours) or "not running"
    return (
        f"`{' '.join(words)}` {does}; this one, on {datadir}, is {own}",
        "set `stop` and `start` of the app to this server's own",
    )


def named(pid: int) -> str:
    """Return the unit of a process for a message; empty if it has none."""
    found = UNIT.search(groups(pid))
    return f", of the unit {found[1]}" if found else ""


def main() -> int:
    """Check the plan in the first argument; return the exit code."""
    plan = json.loads(sys.argv[1])
    fault, remedy = judged(str(plan["datadir"]), [str(word) for word in plan["stop"]])
    print(json.dumps({"fault": fault, "remedy": remedy}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
