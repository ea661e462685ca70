"""What a person sees of a run: on terminals of 80 and 200 columns, and in a log."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tasks.run.outcome import Outcome
from tasks.run.view import Running, Telling, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.inventory.models import App

CHECKOUT = Path(__file__).parents[3]
NAME = "app-with-a-name-files-2026-11-22T03-00-00"
GOOD = Outcome("app-with-a-name", "files", "ok", datetime(2026, 11, 22, 3, tzinfo=UTC), 4, 12, 3, archive=NAME)
BAD = Outcome("blog", "files", "failed", datetime(2026, 11, 22, 3, tzinfo=UTC), 2, said=("it broke", "mend it"))
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  "
NOBODY = cast("Sequence[App]", ())


@pytest.mark.parametrize(
    ("running", "shown"),
    [
        (Running(0, "starts"), "starts"),
        (Running(0, "backs up", 99, 5_000_000), "backs up  5 MB"),  # too early for a rate
        (Running(0, "backs up", 90, 5_000_000), "backs up  5 MB, 500 kB/s"),
        (Running(0, "backs up", 90, 5_000_000, 65_000_000), "backs up  5 MB of 65 MB, 500 kB/s, 2:00 left"),
        (Running(0, "backs up", 90, 5_000_000, 4_000_000), "backs up  5 MB, 500 kB/s"),  # more than last time
        (Running(0, "backs up", 90, 0, 4_000_000), "backs up  0 B of 4 MB"),
    ],
)
def test_how_far_how_fast_how_long(running: Running, shown: str) -> None:
    assert running.shown(now=100) == shown


def told(capsys: pytest.CaptureFixture[str], telling: Telling, *outcomes: Outcome) -> list[str]:
    with View(NOBODY, telling) as view:
        view.step("blog", "files", "starts")
        view.progress("blog", "files", "backs up", 5)
        for outcome in outcomes:
            view.done(outcome)
        view.summary(outcomes, "saved")
    return capsys.readouterr().out.splitlines()


def test_each_line_of_a_log_begins_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, Telling(), GOOD, BAD)
    assert len(lines) == 4
    assert all(re.match(STAMP, line) for line in lines)
    assert re.fullmatch(STAMP + "1 of 2 saved in 0:00, 1 failed", lines[-1])


def test_quiet_tells_only_what_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, Telling(quiet=True), GOOD) == []
    lines = told(capsys, Telling(quiet=True), GOOD, BAD)
    assert ["blog" in lines[0], "mend it" in lines[1], "1 failed" in lines[2]] == [True] * 3


def test_verbose_tells_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(STAMP + "blog  files  starts", told(capsys, Telling(verbose=True), GOOD)[0])


CODE = """
from tests.unit.run.test_view import *
with View(NOBODY) as view:
    view.progress("blog", "files", "backs up " + "x" * 100, 5_000_000)
    input()  # until the line was seen
    view.done(GOOD)
    view.summary([GOOD], "saved")
"""


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_running_apps_have_a_line_each(columns: int) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    words = (sys.executable, "-c", CODE)
    child = subprocess.Popen(words, stdout=theirs, stdin=theirs, cwd=CHECKOUT, env={**clean, "TERM": "xterm"})
    os.close(theirs)
    said = b""
    while piece := _read(ours):
        seen, said = said, said + piece
        if b"blog  files" in said and b"blog  files" not in seen:
            os.write(ours, b"\n")
    assert child.wait() == 0
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", said.decode())]
    assert max(map(len, lines)) <= columns
    running = [line for line in lines if line.startswith("blog  files")]
    assert running
    assert ("5 MB" in running[0]) == (columns == 200)  # on the narrow one it is cut, not broken into two
    finished = next(line for line in lines if "  ok  " in line)
    assert (NAME in finished) == (columns == 200)
    assert any(line.startswith("1 of 1 saved") for line in lines)


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # the other end is closed
        return b""
