"""Small means of the contract suite: processes, a borg on a disk that can be full, patience, errors for a person."""

import getpass
import os
import shlex
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tasks.borg.client.runner import How
from tasks.errors import CloudbackupError
from tasks.remote.script import Stream

FULL_DISK = Path(__file__).parent / "full_disk"
QUICK = How(lock_wait=20, timeout=120)


def borg_on_a_disk(program: Path, flag: Path) -> str:
    """Write a `borg` that is the machine's own on a disk that is nearly full below the folder that `flag` names.

    Returns its path.
    """
    real = shutil.which("borg")
    assert real is not None
    values = {"PYTHONPATH": str(FULL_DISK), "PYTHONDONTWRITEBYTECODE": "1", "CONTRACT_FULL_FLAG": str(flag)}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\n{exports}exec {shlex.quote(real)} "$@"\n')
    program.chmod(0o755)
    return str(program)


def user_name() -> str:
    return getpass.getuser()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def environment_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def endless(until: Path) -> Stream:
    """Return content that ends when the file `until` is there, or nobody reads it any more."""
    return Stream(f"until test -e {shlex.quote(str(until))}; do head -c 300000 /dev/urandom || exit; sleep 0.05; done")


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder that may be changing."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob, it does not mind what goes while it looks
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def is_told(error: CloudbackupError) -> bool:
    """Tell whether a fault is one sentence for a person, with no traceback in it."""
    text = str(error)
    return "\n" not in error.what and len(error.what) < 300 and "Traceback" not in text and 'File "' not in text
