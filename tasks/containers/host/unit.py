"""The systemd unit that runs a container: a label says so, and an image can bring any label, so systemd is asked.

Part of programs that run alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any, Dict

Values = Dict[str, Any]  # noqa: UP006 (Python 3.8 evaluates it)
LABEL = "PODMAN_SYSTEMD_UNIT"  # written by Podman's Quadlet and by `podman generate systemd`: podman-systemd.unit(5)
NAME = r"[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,254}\.service"  # never an option of systemctl
PATIENCE = 30  # seconds for an answer


def part(values: object, name: str) -> Values:
    """Return an object within an object; empty if it is not there."""
    found = values.get(name) if isinstance(values, dict) else None
    return found if isinstance(found, dict) else {}


def unit(container: Values) -> str:
    """Return the unit that runs a container, from what `inspect` says of it; empty if none does.

    Its main process is then the one that watches over this container (conmon), as both kinds of units of Podman's have
    it. Docker knows no such process, and a container that does not run has none.
    """
    said = part(part(container, "Config"), "Labels").get(LABEL)
    watcher = part(container, "State").get("ConmonPid")
    if not isinstance(said, str) or not re.fullmatch(NAME, said, re.ASCII):
        return ""
    if not isinstance(watcher, int) or watcher < 2:
        return ""
    return said if main_process(said) == str(watcher) else ""


def main_process(name: str) -> str:
    """Return the process id that systemd has for a unit's main process; empty if it does not say."""
    words = ["systemctl", "show", "--property=MainPID", "--", name]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.fullmatch(r"MainPID=([0-9]{1,9})", done.stdout.decode(errors="replace").strip())
    return found.group(1) if found and done.returncode == 0 else ""
