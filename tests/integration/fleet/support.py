"""The operator of a lab: types `./inv ...` and reads what it says."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

import tasks
from lab.lab import Lab
from lab.process import members
from tasks.program import Inv

CHECKOUT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-P", str(CHECKOUT / "tasks" / "program.py"), "--search-root", str(CHECKOUT)]


class Operator:
    """Runs tasks on an inventory."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BORG_", "CI"))}
        own = {"INVOKE_INVENTORY": str(self.inventory), "PYTHONUNBUFFERED": "1", "BORG_SELFTEST": "disabled"}
        return {**clean, **own}

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a task and return its end, without the times that lines of a log begin with. Nothing answers a question.

        It runs in this process, by the program that `inv` starts: starting that anew each time costs more than many a
        task does. `start` starts it.
        """
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, self.environment(), clear=True),
            mock.patch.object(sys, "stdin", io.StringIO()),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                Inv(name="cloudbackup", binary="inv", namespace=tasks.ns).run(["inv", *words])
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(words, code, untimed(out.getvalue()), err.getvalue())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a task and return at once."""
        return subprocess.Popen(
            [*PROGRAM, *words],
            env=self.environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def done(self, *words: str) -> str:
        """Run a task that must succeed; return what it printed."""
        end = self.inv(*words)
        assert end.returncode == 0, f"{words} ended with {end.returncode}\n{end.stdout}\n{end.stderr}"
        return end.stdout

    def report(self, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the JSON report's rows by app and source."""
        values = json.loads(self.done("report", "--format", "json", *words))
        return {(row["app"], row["source"]): row for row in values["apps"]}

    def archives(self, app: str) -> list[str]:
        """Return the names of an app's archives, by stock borg's own listing."""
        return [line.split()[0] for line in self.done("borg.list", "--app", app).splitlines() if "UTC" in line]

    def copy(self, folder: Path) -> "Operator":
        """Return an operator with a copy of this inventory, to be changed."""
        shutil.copytree(self.inventory, folder)
        return Operator(folder)

    def storages(self) -> list[str]:
        """Return the names of the inventory's storages."""
        return list(yaml.safe_load((self.inventory / "cloudbackup.yml").read_text())["storages"])

    def change(self, file: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Rewrite one YAML file of the inventory."""
        path = self.inventory / file
        values = yaml.safe_load(path.read_text())
        change(values)
        path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def untimed(printed: str) -> str:
    """Return what was printed to a log without the time at the beginning of each line."""
    return re.sub(r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  ", "", printed)


def make_ready(lab: Lab) -> Operator:
    """Return the lab's operator, with storage and repositories made."""
    operator = Operator(lab.inventory)
    operator.done("storagebox.setup")
    operator.done("borg.init")
    return operator


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Tell whether `condition` becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def command_lines() -> list[tuple[int, str]]:
    """Return pid and command line of all processes, the environment of none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found.append((int(folder.name), line))
    return found


def on_host(lab: Lab, app: str, *parts: str) -> list[int]:
    """Return the processes of an app's backup on its host in this lab, by what stands in their command lines."""
    lines = dict(command_lines())
    found = {each.pid: lines.get(each.pid, "") for each in members(lab.folder)}
    return [pid for pid, line in found.items() if f"::{app}-" in line and all(part in line for part in parts)]


def interrupt(process: subprocess.Popen[str]) -> str:
    """Do what Ctrl-C does; return what the process printed."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)[0]
