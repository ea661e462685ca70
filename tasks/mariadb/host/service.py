"""Tells whom the inventory's `stop` would end. Runs alone on the host.

    python3 -c "$SERVICE" JSON

JSON: `datadir`, of the app's server, and `stop`, the words of the command. Two servers may run on a host, and a `stop`
that is another one's takes that other app's database away. Where the command names a unit of systemd's or a container,
these tell beforehand which processes are theirs; of other commands nothing is known.

Standard output is JSON: `fault` and `remedy`, both empty when nothing is wrong or nothing is known. Of the standard
library only, Python 3.8 and later.
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
SHOWN = 120  # characters of a server's command
PATIENCE = 20  # seconds for an answer
UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.MULTILINE)  # in a process's control groups, proc(5)


class Ended(NamedTuple):
    """What a command ends: its name for a person, its first process (0: none runs), and its control group."""

    name: str
    process: int
    group: str = ""

    def holds(self, pid: int) -> bool:
        """Tell whether a process is of it."""
        return self.process != 0 and (self.process in (pid, *ancestors(pid)) or self.within(pid))

    def within(self, pid: int) -> bool:
        """Tell whether a process is in its control group."""
        return self.group not in ("", "/") and any(
            line.endswith(self.group) or f"{self.group}/" in line for line in groups(pid).splitlines()
        )


def ended(words: list[str]) -> Ended | None:
    """Return what `stop` ends, None when nobody can tell."""
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
    """Return what a unit of systemd's is."""
    said = answer([*command, "show", "--property=LoadState,MainPID,ControlGroup", name])
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if not found.get("MainPID", "").isdigit() or found.get("LoadState") == "not-found":
        return None  # no systemd runs here, or the command fails and says so itself
    return Ended(f"the unit {name}", int(found["MainPID"]), found.get("ControlGroup", ""))


def container(command: str, name: str) -> Ended | None:
    """Return what a container is."""
    said = answer([command, "inspect", "--format", "{{.State.Pid}}", name]).strip()
    return Ended(f"the container {name}", int(said)) if said.isdigit() else None


def answer(words: list[str]) -> str:
    """Return what a program prints, empty when it is not there or fails."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def servers() -> dict[int, str]:
    """Return the database servers that run on the host: their numbers, and of each the begin of its command."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() in SERVERS:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line:  # a process that has ended and is not waited for has none
                    found[int(entry.name)] = "".join(
                        each if each.isprintable() else "?" for each in line.strip()[:SHOWN]
                    )
        except OSError:  # it has ended meanwhile
            continue
    return found


def serving(datadir: str) -> list[int]:
    """Return the processes of servers on a data directory, in which a server works. They may be in a container."""
    found = []
    for pid in servers():
        try:
            if os.path.samefile(f"/proc/{pid}/cwd", datadir):
                found.append(pid)
        except OSError:  # another user's
            continue
    return found


def groups(pid: int) -> str:
    """Return the control groups of a process, empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def ancestors(pid: int) -> list[int]:
    """Return the processes from which a process comes."""
    found: list[int] = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


def judged(datadir: str, words: list[str]) -> tuple[str, str]:
    """Return what is wrong with `stop` and what to do; both empty when nothing is, or nothing is known."""
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
    """Return the unit of a process for a person, empty where it is of none."""
    found = UNIT.search(groups(pid))
    return f", of the unit {found[1]}" if found else ""


def main() -> int:
    """Judge; the exit code."""
    plan = json.loads(sys.argv[1])
    fault, remedy = judged(str(plan["datadir"]), [str(word) for word in plan["stop"]])
    print(json.dumps({"fault": fault, "remedy": remedy}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
