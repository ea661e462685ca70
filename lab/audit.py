"""Which pinned packages are out of date, and which have known vulnerabilities, by pip and by PyPA's pip-audit."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from lab import python_packages
from tasks.errors import CloudbackupError

CHECKOUT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-lab.txt", "requirements-dev.txt")
OSV = "CLOUDBACKUP_OSV"  # names another database of vulnerabilities: the URL of an OSV API's query


@dataclass(frozen=True)
class Audit:
    """What a database of vulnerabilities says: sentences for vulnerable packages, and the names it does not know."""

    known: int
    vulnerable: tuple[str, ...]
    unknown: tuple[str, ...]


def run() -> None:
    """Print both lists. Raises Exit with code 3 if any package has a known vulnerability, or could not be looked up.

    CloudbackupError if the package index, or the database of vulnerabilities, cannot be asked.
    """
    python_packages.ensure("lab", "dev", why="the audit")
    for name, pinned, newest in _outdated():
        print(f"{name} {pinned} is pinned, {newest} is the newest")
    found = audit([CHECKOUT / name for name in FILES])
    for line in found.vulnerable:
        print(line)
    if found.unknown:
        print(f"not looked up, for the database does not know these releases: {', '.join(found.unknown)}")
    if found.vulnerable:
        raise Exit("raise the pins in requirements*.in, compile them, and run the tests", code=3)
    if found.unknown:
        raise Exit(f"nothing is known against the {found.known} others; look these up by hand", code=3)
    print(f"None of the {found.known} packages has a known vulnerability")


def audit(files: Sequence[Path]) -> Audit:
    """Look up every pin by pip-audit, at PyPI or where the environment variable CLOUDBACKUP_OSV says.

    Raises CloudbackupError if the database cannot be asked, or knows none of the pins.
    """
    database = ("--vulnerability-service=osv", f"--osv-url={os.environ[OSV]}") if os.environ.get(OSV) else ()
    done = _module(
        "pip_audit",
        *("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", *database),
        *(word for file in files for word in ("--requirement", str(file))),
    )
    try:
        said = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise CloudbackupError(
            f"pip-audit could not ask for known vulnerabilities: {_last_line(done.stderr)}"
        ) from None
    unknown = tuple(each["name"] for each in said if "skip_reason" in each)
    if said and len(unknown) == len(said):
        what = f"the database of vulnerabilities answers for none of {len(said)} packages"
        raise CloudbackupError(
            what, f"mirrors of PyPI do not have it: run this where pypi.org is reached, or set {OSV}"
        )
    vulnerable = tuple(line for each in said for line in _vulnerable(each))
    return Audit(len(said) - len(unknown), vulnerable, unknown)


def _vulnerable(package: dict[str, Any]) -> list[str]:
    pin = f"{package['name']} {package['version']}"
    found = package.get("vulns", ())
    return [f"{pin}: {each['id']}, mended in {', '.join(each['fix_versions']) or 'no release'}" for each in found]


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
