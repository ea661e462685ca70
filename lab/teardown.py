"""How a lab ends: every process that it started, or that was started in it, and then its files."""

import shutil
from pathlib import Path

from lab import process, state
from lab.process import Process
from tasks.errors import CloudbackupError, UsageError

OWN_NAMES = ("box", "hosts", "operator", "inventory", "state.json")


def members(folder: Path) -> set[Process]:
    """Return all running processes of the lab in `folder`."""
    try:
        started = state.load(folder).processes.values()
    except UsageError:
        return set(process.members(folder))
    return process.descendants(started).union(process.members(folder))


def end(folder: Path) -> int:
    """End all processes of the lab in `folder`, whoever started them there; return how many."""
    return process.end_all(lambda: members(folder))


def clear(folder: Path) -> None:
    """Remove what a lab made in its folder, and nothing else. Raises CloudbackupError for one that runs."""
    if members(folder):
        raise CloudbackupError(f"the lab in {folder} still runs")
    for name in OWN_NAMES:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
