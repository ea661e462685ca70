"""The user that programs run as on restored data: unprivileged, without network or secrets; they die with this program.

Part of drills and replays, which run alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import resource
import shutil
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ORDINARY = "nobody"  # not `mysql`, which could open the files of a live server
KILLED_WITH_US = 1  # PR_SET_PDEATHSIG of prctl(2)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of unshare(2)


class DrillFault(Exception):  # noqa: N818 (what a drill finds)
    """The drill failed."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


def series(version: str) -> str:
    """Return the release series in a version text."""
    found = re.search(r"(\d+\.\d+)\.\d+", version)
    return found.group(1) if found else "an unknown series"


def program(names: tuple[str, ...], package: str) -> str:
    """Return the path of the first program that exists. Raises DrillFault."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise DrillFault(f"{names[0]} is not there", f"install the package {package} there, or drill with --to local")


def ordinary(probe: Path | None = None) -> Callable[[], None]:
    """Return a preexec function: become an ordinary user without network, and die with the parent.

    The child exits with an error if it cannot enter `probe`.
    """
    library = ctypes.CDLL(None)
    user = pwd.getpwnam(ORDINARY) if os.geteuid() == 0 else None

    def become() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if user is not None:
            library.unshare(NEW_NETWORK)  # refused in many containers; the server opens no port anyway
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        library.prctl(KILLED_WITH_US, signal.SIGKILL)  # after the change of user, which would reset it
        if probe is not None:
            os.chdir(str(probe))

    return become


def give_away(folder: Path) -> None:
    """Give a directory and its contents to the ordinary user, if we are root."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(ORDINARY)
    for path in (folder, *folder.rglob("*")):
        os.chown(str(path), user.pw_uid, user.pw_gid, follow_symlinks=False)


def clean_environment() -> dict[str, str]:
    """Return an environment without the repository's secrets."""
    return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
