"""Python packages that only the lab and the tests need: installed into .venv when they are first needed."""

import hashlib
import sys
from pathlib import Path

from lab import installers

CHECKOUT = Path(__file__).resolve().parents[1]


def ensure(*names: str, why: str) -> None:
    """Install `requirements-NAME.txt` for each name, in this order, unless just that was installed before.

    `why` says what they are for. Raises CloudbackupError when pip cannot install them.
    """
    for name in names:
        _ensure(CHECKOUT / f"requirements-{name}.txt", why)


def _ensure(file: Path, why: str) -> None:
    needed = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = Path(sys.prefix) / f"cloudbackup-{file.stem}.stamp"
    if stamp.is_file() and stamp.read_text() == needed:
        return
    installers.say(f"installing Python packages for {why} into .venv (once, and again when {file.name} changes)")
    with installers.new_log("pip") as log:
        fault = f"pip could not install {file.name} (is the network up?)"
        installers.pip_install(Path(sys.executable), ("--require-hashes", "-r", str(file)), log, fault)
    stamp.write_text(needed)
