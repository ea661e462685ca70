"""What the first `./inv` takes beside an installation of borgmatic: `./inv bench.install`.

Both make a virtual environment and install by pip without its cache, in turns, so that other load on the machine and the
network falls on both alike. Exits 1 when the median ratio of the CPU's time is above 1.5.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
BORGMATIC = "borgmatic==2.1.10"
LIMIT = 1.5


class Taken(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def taken(*commands: tuple[str, ...], environment: Mapping[str, str]) -> Taken:
    """Run commands one after another; return what they took. Raises CalledProcessError."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Taken(time.monotonic() - began, used)


def first_inv(folder: Path, environment: Mapping[str, str]) -> Taken:
    """Return what the first `./inv --list` of a new checkout takes."""
    place = folder / "checkout"
    for name in ("tasks", "lab", "inventory"):
        shutil.copytree(CHECKOUT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("inv", "tasks.py", "requirements.txt"):
        shutil.copy2(CHECKOUT / name, place / name)
    try:
        return taken((str(place / "inv"), "--list"), environment=environment)
    finally:
        shutil.rmtree(place)


def borgmatic(folder: Path, environment: Mapping[str, str]) -> Taken:
    """Return what an installation of borgmatic takes, and a first call of it."""
    place = folder / "borgmatic"
    program = str(place / "bin/borgmatic")
    make = ("python3", "-m", "venv", str(place))
    install = (str(place / "bin/python"), "-m", "pip", "install", "--no-input", BORGMATIC)
    try:
        return taken(make, install, (program, "--version"), environment=environment)
    finally:
        shutil.rmtree(place)


def main(pairs: int) -> int:
    """Measure, print, and return the exit code."""
    named = {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in named} | {
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    with tempfile.TemporaryDirectory() as name:
        turns = [(first_inv(Path(name), environment), borgmatic(Path(name), environment)) for _ in range(pairs)]
    for what in ("wall", "cpu"):
        ours, other = ([getattr(turn[side], what) for turn in turns] for side in (0, 1))
        ratio = statistics.median(one / two for one, two in zip(ours, other, strict=True))
        sys.stdout.write(
            f"{what}: first ./inv {statistics.median(ours):.1f} s, {BORGMATIC} {statistics.median(other):.1f} s, "
            f"ratio {ratio:.2f} (median of {pairs} pairs, limit {LIMIT:g})\n"
        )
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
