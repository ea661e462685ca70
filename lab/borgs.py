"""A second borg for the tests: of the other series than Debian's, built by pip into a folder of its own."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from lab import installers, packages
from tasks.errors import CloudbackupError

VERSION_BESIDE = {"1.2": "1.4.5", "1.4": "1.2.9"}
"""The version to build, by the series of the installed borg. Debian 12 has 1.2.4, Debian 13 has 1.4.0."""

# borgbackup comes from the package index as source code only; it and pyfuse3 (for `borg mount`) build with these.
_BUILD = (
    "gcc",
    "libacl1-dev",
    "libc6-dev",
    "libfuse3-dev",
    "liblz4-dev",
    "libssl-dev",
    "libxxhash-dev",
    "libzstd-dev",
    "pkg-config",
)


def ensure_second(checkout: Path) -> Path:
    """Return the program of the second borg, in `.venv-borg-<series>`; build it where that is missing or outdated.

    Takes about 80 seconds the first time. Raises CloudbackupError when pip cannot build it.
    """
    version = VERSION_BESIDE[_installed_series()]
    folder = checkout / f".venv-borg-{version.rpartition('.')[0]}"
    program = folder / "bin/borg"
    stamp = folder / "cloudbackup.stamp"
    current = f"{version} {Path(sys.executable).resolve()} {folder}\n"
    if stamp.is_file() and stamp.read_text() == current:
        return program
    headers = () if Path(sysconfig.get_paths()["include"], "Python.h").is_file() else ("python3-dev",)
    packages.ensure(packages=(*_BUILD, *headers), why=f"building borg {version}")
    installers.say(f"building borg {version} into {folder}, so that the tests run with both series (once)")
    with installers.new_log("borg") as log:
        fault = f"borg {version} could not be built"
        installers.run((sys.executable, "-m", "venv", "--clear", str(folder)), log, fault)
        installers.pip_install(folder / "bin/python", (f"borgbackup[pyfuse3]=={version}",), log, fault)
    stamp.write_text(current)
    return program


def _installed_series() -> str:
    """Return the series of the installed borg, such as `1.2`. Raises CloudbackupError for one that is not known."""
    words = (packages.find("borg") or "borg", "--version")
    answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    series = ".".join(answer.split()[-1].split(".")[:2])
    if series not in VERSION_BESIDE:
        raise CloudbackupError(f"the tests know borg {' and '.join(VERSION_BESIDE)}, and here is {answer.strip()}")
    return series
