"""The commands of a first minute: `demo`, which leaves nothing, and `lab.up`, which leaves a lab for every task."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.integration.fleet.support import CHECKOUT, PROGRAM, Operator, eventually

COMMAND = re.compile(r"(?m)^\$ (\./inv .*)$")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files; a short path, which sockets need."""
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def inv(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=280
    )


def running(folder: Path) -> list[str]:
    """Return the processes that were started with this folder for temporary files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if line]


def test_the_demo_tells_what_the_readme_shows_and_leaves_nothing(temporary: Path) -> None:
    end = inv("demo")
    assert end.returncode == 0, end.stdout + end.stderr
    shown = (CHECKOUT / "README.md").read_text().partition("$ ./inv storagebox.setup")
    story = (shown[1] + shown[2]).partition("```")[0]
    assert COMMAND.findall(end.stdout) == COMMAND.findall(story)
    assert len(COMMAND.findall(story)) == 8
    before, _, _ = end.stdout.partition("$ ./inv")
    assert len(re.findall(r"(?m)^  \S", before)) >= 5, before  # a line for each part that is started
    assert re.search(r"Restored and compared: \d\d files, all equal", end.stdout)
    assert re.search(r"Restored and compared: \d tables and views, all equal", end.stdout)
    rows = re.findall(r"(?m)^(blog|shop) +(files|mariadb) +ok +\d", end.stdout.rpartition("$ ./inv report")[2])
    assert len(rows) == 4, end.stdout
    assert end.stdout.rstrip().endswith("and left nothing running")
    assert eventually(lambda: running(temporary) == [])
    assert list(temporary.iterdir()) == []


def test_a_lab_stays_until_it_is_told_to_go(temporary: Path) -> None:
    up = inv("lab.up")
    assert up.returncode == 0, up.stdout + up.stderr
    (inventory,) = re.findall(r"(?m)export INVOKE_INVENTORY=(\S+)$", up.stdout)
    operator = Operator(Path(inventory))
    assert operator.done("app.list").count("127.0.0.1") == 2
    assert len(operator.done("backup", "--source", "files").splitlines()) == 3

    status = inv("lab.status")
    assert (status.returncode, status.stdout.count(" runs\n")) == (0, 5), status.stdout
    lab = Lab.find(temporary / f"cloudbackup-lab-{os.getuid()}")
    (sshd,) = (pid for pid in _listening(lab.apps["shop"].paths.ssh))
    os.kill(sshd, signal.SIGKILL)
    status = inv("lab.status")
    assert status.returncode != 0
    assert re.search(r"(?m)^sshd shop +is down$", status.stdout)
    assert "inv lab.down" in status.stderr

    down = inv("lab.down")
    assert (down.returncode, down.stdout.strip()) == (0, f"The lab in {lab.folder} is gone.")
    assert eventually(lambda: running(temporary) == [])
    assert list(temporary.iterdir()) == []
    again = inv("lab.down")
    assert (again.returncode, "no lab" in again.stderr) == (2, True), again


def _listening(configuration: Path) -> list[int]:
    """Return the sshd of an app host itself, not those of its sessions."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(configuration / "config") in (process / "cmdline").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    return found
