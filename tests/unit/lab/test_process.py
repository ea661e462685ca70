"""Daemons are known again, ended with what they started, and never mistaken for another process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import process
from lab.process import MARKER, Process
from tasks.errors import CloudbackupError


def spawn(folder: Path, script: str) -> Process:
    return process.spawn(("bash", "-c", script), folder / "log", {MARKER: str(folder)}, folder)


def test_a_reused_number_is_another_process() -> None:
    real = process.identify(os.getpid())
    assert real is not None
    assert real.alive
    assert not Process(real.pid, real.started - 1).alive


def test_members_end_also_when_they_left_their_session(tmp_path: Path) -> None:
    daemon = spawn(tmp_path, "setsid sleep 300 & sleep 300 & wait")
    process.wait_until(lambda: len(list(process.members(tmp_path))) == 3, "bash", daemon, tmp_path / "log")

    assert process.end_all(lambda: process.members(tmp_path)) == 3
    assert list(process.members(tmp_path)) == []


def test_one_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    daemon = spawn(tmp_path, "trap '' TERM; touch ready; while :; do sleep 0.1; done")
    process.wait_until((tmp_path / "ready").exists, "bash", daemon, tmp_path / "log")

    assert process.end_all(lambda: process.members(tmp_path), grace=0.3) >= 1
    assert not daemon.alive


def test_descendants_are_found_without_the_marker(tmp_path: Path) -> None:
    daemon = process.spawn(("bash", "-c", "env -i sleep 300 & wait"), tmp_path / "log", {}, tmp_path)
    process.wait_until(lambda: len(process.descendants([daemon])) == 2, "bash", daemon, tmp_path / "log")

    process.end_all(lambda: process.descendants([daemon]))
    assert not daemon.alive


def test_the_caller_and_its_ancestors_are_no_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from pathlib import Path; import sys; from lab import process;"
        "print([member.pid for member in process.members(Path(sys.argv[1]))])"
    )
    monkeypatch.setenv(MARKER, str(tmp_path))
    checkout = Path(__file__).parents[3]
    python = (sys.executable, "-c", code, str(tmp_path))
    done = subprocess.run(python, capture_output=True, text=True, check=True, cwd=checkout)

    assert done.stdout == "[]\n"


def test_a_server_that_dies_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    daemon = spawn(tmp_path, "echo the port is taken; exit 1")

    with pytest.raises(CloudbackupError, match="the port is taken"):
        process.wait_until(lambda: False, "the server", daemon, tmp_path / "log")
