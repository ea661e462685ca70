"""`lab.up`, `lab.down`, `lab.status`: a lab that stays until `lab.down`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import packages, python_packages
from lab.lab import Lab
from lab.plan import BoxPlan
from tasks.errors import CloudbackupError

CHECKOUT = Path(__file__).parents[1]


def folder_of(folder: str) -> Path:
    """Return the lab's folder: the one that is named, or this user's own."""
    return Path(folder).expanduser() if folder else Path(tempfile.gettempdir()) / f"cloudbackup-lab-{os.getuid()}"


def up(folder: str) -> None:
    """Start a lab, and make its storage and its repositories ready by the tool's own tasks."""
    packages.ensure(*packages.LAB, why="the lab")
    python_packages.ensure("lab", why="the lab")
    lab = Lab.start(folder_of(folder), progress=show)
    make_ready(lab)
    password = BoxPlan().accounts[0].password
    print(f"The lab runs. Every task works on it with:\n  export INVOKE_INVENTORY={lab.inventory}")
    print(f"Where a task asks for its box's password, as `app.add` of a host of yours does, that is: {password}")


def show(text: str) -> None:
    """Print what was started. One write for a whole line: the parts of a lab start side by side."""
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def make_ready(lab: Lab) -> None:
    """Run the two tasks that come before the first backup."""
    inv(lab, "storagebox.setup")
    inv(lab, "borg.init")


def down(folder: str) -> None:
    """Stop the lab and remove it."""
    lab = Lab.find(folder_of(folder))
    lab.remove()
    if not any(lab.folder.iterdir()):
        lab.folder.rmdir()
    print(f"The lab in {lab.folder} is gone.")


def status(folder: str) -> None:
    """Print a line for each server. Raises CloudbackupError when one is down."""
    lab = Lab.find(folder_of(folder))
    servers = lab.status()
    for name, runs in servers.items():
        print(f"{name:20} {'runs' if runs else 'is down'}")
    print(f"inventory: {lab.inventory}")
    if not all(servers.values()):
        raise CloudbackupError("not all of the lab runs", "start it again: inv lab.down, then inv lab.up")


def inv(lab: Lab, *words: str) -> None:
    """Run a task on the lab as a person would. Raises CloudbackupError when it does not exit with 0."""
    environment = {**os.environ, "INVOKE_INVENTORY": str(lab.inventory), "PYTHONUNBUFFERED": "1"}
    program = [sys.executable, "-P", str(CHECKOUT / "tasks" / "program.py"), "--search-root", str(CHECKOUT)]
    done = subprocess.run([*program, *words], env=environment, check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise CloudbackupError(f"`inv {' '.join(words)}` ended with exit code {done.returncode}")
