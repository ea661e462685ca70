"""New data directories as copies of one: `mariadb-install-db` takes seconds, so it runs once for each MariaDB."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import programs
from tasks.errors import CloudbackupError

FOLDER = Path(sys.prefix) / "lab"  # in the checkout's .venv: it goes with it
_FORMAT = "1"  # of what is kept; another one is replaced


def copy_or_make(user: str, datadir: Path, make: Callable[[], None]) -> None:
    """Bring a new data directory of `user` to `datadir`, which `make` makes where no copy of it is kept yet.

    The copy is of this machine's MariaDB. Raises what `make` raises, CloudbackupError when the disk is full.
    """
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        lock = (FOLDER / "lock").open("w")
    except OSError:  # not our .venv
        make()
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = FOLDER / _name(user)
        if not kept.is_dir():
            make()
            _keep(datadir, kept)
            return
    copy(kept, datadir)


def copy(source: Path, target: Path) -> None:
    """Copy a directory with owners; `target` must not be there. Raises CloudbackupError."""
    done = subprocess.run(
        ("cp", "-a", "--reflink=auto", "--sparse=always", "--no-target-directory", str(source), str(target)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CloudbackupError(f"cannot copy {source} to {target}: {done.stderr.strip()}")


def _name(user: str) -> str:
    server = Path(programs.find("mariadbd"))
    about = server.stat()
    version = f"{_FORMAT} {user} {server} {about.st_size} {about.st_mtime_ns}"
    return f"mariadb-{hashlib.sha256(version.encode()).hexdigest()[:16]}"


def _keep(datadir: Path, kept: Path) -> None:
    """Keep a copy, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as part:
        copy(datadir, Path(part) / "data")
        for old in FOLDER.glob("mariadb-*"):
            shutil.rmtree(old)
        (Path(part) / "data").rename(kept)
