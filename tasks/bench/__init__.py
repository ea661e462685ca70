"""Measurements of the tool beside other ways, on a lab: each task runs one program of `tests/bench`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from tasks.cli import task

CHECKOUT = Path(__file__).resolve().parents[2]


@task(
    help={
        "only": "a part: growth, filter, task, restore or tables; repeat it for several; none means all",
        "megabytes": "size of the database",
    },
    iterable=["only"],
)
def mariadb(_c: Any, only: Any = None, megabytes: int = 1100) -> None:
    """Measure what a backup of a MariaDB server costs and adds, beside other ways: 12 GB of disk, some minutes."""
    _run("mariadb", f"--megabytes={megabytes}", *(f"--only={part}" for part in only or ()))


def _run(program: str, *options: str) -> None:
    done = subprocess.run((sys.executable, "-m", f"tests.bench.{program}", *options), cwd=CHECKOUT, check=False)
    if done.returncode:
        raise Exit(code=done.returncode)
