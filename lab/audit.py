"""Which pinned packages are out of date, and which have known vulnerabilities, by pip and by PyPA's pip-audit."""

import json
import subprocess
import sys
from pathlib import Path

from invoke.exceptions import Exit

from lab import python_packages
from tasks.errors import CloudbackupError

CHECKOUT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-lab.txt", "requirements-dev.txt")


def run() -> None:
    """Print both lists. Raises Exit with code 3 when any package has a known vulnerability.

    CloudbackupError when the package index, or the database of vulnerabilities, cannot be asked.
    """
    python_packages.ensure("lab", "dev", why="the audit")
    for name, pinned, newest in _outdated():
        print(f"{name} {pinned} is pinned, {newest} is the newest")
    files = [word for name in FILES for word in ("--requirement", str(CHECKOUT / name))]
    done = _module("pip_audit", "--require-hashes", "--disable-pip", "--strict", "--progress-spinner=off", *files)
    print(done.stdout, end="")
    if done.returncode and not done.stdout.strip():
        raise CloudbackupError(f"pip-audit could not ask for known vulnerabilities: {_last_line(done.stderr)}")
    if done.returncode:
        raise Exit("raise the pins in requirements*.in, compile them, and run the tests", code=3)
    print("No package has a known vulnerability")


def _outdated() -> list[tuple[str, str, str]]:
    """Return name, installed version and newest version of each package that is not the newest."""
    done = _module("pip", "list", "--outdated", "--format=json", "--disable-pip-version-check")
    if done.returncode:
        raise CloudbackupError(f"pip could not list newer packages: {_last_line(done.stderr)}", "is the network up?")
    return [(each["name"], each["version"], each["latest_version"]) for each in json.loads(done.stdout)]


def _module(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run((sys.executable, "-m", *words), capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it does not say why"])[-1]
