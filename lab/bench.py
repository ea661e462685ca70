"""Measurements of the tool beside other ways, on a lab: each task runs one program of `tests/bench`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from lab.borgs import ensure_second
from tasks.cli import task

CHECKOUT = Path(__file__).resolve().parents[1]


@task(
    help={
        "only": "a part: growth, filter, task, restore, binlog or tables; repeat it for several; none means all",
        "megabytes": "size of the database",
    },
    iterable=["only"],
)
def mariadb(_c: Any, only: Any = None, megabytes: int = 1100) -> None:
    """Measure what a backup of a MariaDB server costs and adds, beside other ways: 12 GB of disk, some minutes."""
    _run("mariadb", f"--megabytes={megabytes}", *(f"--only={part}" for part in only or ()))


@task(
    help={
        "repositories": "how many repositories to make and to report on",
        "sample": "how many of them borg alone and borgmatic list, for comparison",
        "latency": "milliseconds added to each round trip in a second round; 0 leaves it out",
    }
)
def report(_c: Any, repositories: int = 100, sample: int = 100, latency: int = 20) -> None:
    """Measure reports of many repositories beside `borg list` and borgmatic."""
    _run("report", f"--repositories={repositories}", f"--sample={sample}", f"--latency={latency}")


@task(
    help={
        "hosts": "how many app hosts to start",
        "parallel": "how many apps are worked on at a time",
        "sample": "how many of them are backed up one after another, for comparison",
    }
)
def fleet(_c: Any, hosts: int = 50, parallel: int = 8, sample: int = 10) -> None:
    """Measure a backup of many hosts beside `xargs -P` and `ssh`."""
    _run("fleet", f"--hosts={hosts}", f"--parallel={parallel}", f"--sample={sample}")


@task(
    help={
        "rounds": "how many rounds; each backs up two apps, one of which meets a fault",
        "apps": "how many apps; the first four have a database",
        "seed": "repeats the faults of a run that printed it",
        "minutes": "no round begins after so many; 0 sets no limit",
    }
)
def soak(_c: Any, rounds: int = 500, apps: int = 20, seed: int = 0, minutes: int = 0) -> None:
    """Back up a fleet again and again with faults at random, then restore and compare every archive."""
    _run("soak", f"--rounds={rounds}", f"--apps={apps}", f"--seed={seed}", f"--minutes={minutes}")


@task(
    help={
        "days": "how many nights each app is backed up",
        "apps": "how many apps of each kind",
    }
)
def alarms(_c: Any, days: int = 365, apps: int = 20) -> None:
    """Count false alarms over years of ordinary apps, and the nights for which real losses are not seen."""
    _run("alarms", f"--days={days}", f"--apps={apps}")


@task(
    help={
        "archives": "how many archives of the app's files to make",
        "files": "how many files each of them holds",
        "sample": "how many of them borg alone lists, for comparison",
    }
)
def find(_c: Any, archives: int = 100, files: int = 20_000, sample: int = 10) -> None:
    """Measure a search for a file in many archives beside `borg list` of each."""
    _run("find", f"--archives={archives}", f"--files={files}", f"--sample={sample}")


@task(help={"megabytes": "size of each dump, about"})
def dumps(_c: Any, megabytes: int = 300) -> None:
    """Measure what dumps of text add after 1 % of their rows changed: plain and packed, by both borgs."""
    os.environ.setdefault("CLOUDBACKUP_BORGS", str(ensure_second(CHECKOUT)))
    _run("dumps", f"--megabytes={megabytes}")


@task(help={"pairs": "how many times each is installed"})
def install(_c: Any, pairs: int = 3) -> None:
    """Measure the first `./inv` of a checkout beside an installation of borgmatic."""
    _run("install", str(pairs))


def _run(program: str, *options: str) -> None:
    done = subprocess.run((sys.executable, "-m", f"tests.bench.{program}", *options), cwd=CHECKOUT, check=False)
    if done.returncode:
        raise Exit(code=done.returncode)
