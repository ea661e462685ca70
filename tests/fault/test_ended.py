"""Who ends in the middle of a dump without any fault of the host's: the operator's process, and a server that restarts."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.lab import process
from tests.fault.fleet import Fleet, Strike
from tests.integration.fleet.support import eventually

MIDDLE = 0.5


def stopped(fleet: Fleet, action: Callable[[int], object]) -> Strike:
    """Return what stops the dump in its middle, does something, and lets the dump go on."""

    def act(dump: int) -> None:
        os.kill(dump, signal.SIGSTOP)
        try:
            action(dump)
        finally:
            os.kill(dump, signal.SIGCONT)

    return fleet.at(MIDDLE, lambda dump: lambda: act(dump))


def told_to_end(pid: int) -> bool:
    """Tell whether a stopped process will get SIGTERM when it goes on."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.split("ShdPnd:")[1].split()[0], 16) & 1 << signal.SIGTERM - 1)


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_operator_who_ends_leaves_nothing_running_and_no_archive(
    fleet: Fleet, kind: signal.Signals, code: int
) -> None:
    def end(dump: int) -> None:
        assert fleet.running
        os.killpg(fleet.running.pid, kind)
        assert eventually(lambda: told_to_end(dump)), "the host does not notice"

    night = fleet.night(stopped(fleet, end), "mariadb", alone=True, ended=code)
    assert night.struck
    assert night.code == code
    assert night.made[fleet.victim] == []
    assert ("interrupted" in night.printed) == (kind is signal.SIGINT)


def test_a_server_that_restarts_during_the_dump_is_backed_up_anew(fleet: Fleet) -> None:
    def restart(_dump: int) -> None:
        environment = {**os.environ, process.MARKER: str(fleet.lab.folder)}
        for name in ("stop-mariadb", "start-mariadb"):
            subprocess.run((fleet.host.home / name,), env=environment, check=True)

    night = fleet.night(stopped(fleet, restart), "mariadb")
    assert night.struck
    assert night.code == 0
    retried = fleet.records(fleet.victim)[-1]["details"]["retried"]
    assert "the database server ended or was restarted" in retried[0]
