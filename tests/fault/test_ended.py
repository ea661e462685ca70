"""Who ends in the middle of a dump without any fault of the host's, or just when an archive is there and nobody was told."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import process, programs
from tests.fault.fleet import ROLES, Fleet, Strike
from tests.integration.fleet.support import eventually

MIDDLE = 0.5

# Stands before borg on a host's PATH: tells its number once an archive is made, and then says nothing any more.
SILENT = """#!/bin/sh
case " $* " in *" create "*) ;; *) exec {program} "$@" ;; esac
{program} "$@" >/dev/null 2>&1
echo $$ >{home}/made.new && mv {home}/made.new {home}/made
read -r _ <{home}/hold
"""


def stopped(fleet: Fleet, action: Callable[[int], object]) -> Strike:
    """Return what stops the dump in its middle, does something, and lets the dump go on."""

    def act(dump: int) -> None:
        os.kill(dump, signal.SIGSTOP)
        try:
            action(dump)
        finally:
            os.kill(dump, signal.SIGCONT)

    return fleet.at(MIDDLE, act)


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
    assert night.code == code
    assert night.made[fleet.victim] == []
    assert ("interrupted" in night.printed) == (kind is signal.SIGINT)


def test_a_server_that_restarts_during_the_dump_is_backed_up_anew(fleet: Fleet) -> None:
    def restart(_dump: int) -> None:
        environment = {**os.environ, process.MARKER: str(fleet.lab.folder)}
        for name in ("stop-mariadb", "start-mariadb"):
            subprocess.run((fleet.host.home / name,), env=environment, check=True)

    night = fleet.night(stopped(fleet, restart), "mariadb")
    assert night.code == 0
    retried = fleet.records(fleet.victim)[-1]["details"]["retried"]
    assert "the database server ended or was restarted" in retried[0]


def test_a_dump_that_never_ends_is_ended_on_its_host(fleet: Fleet, tmp_path: Path) -> None:
    strict = fleet.operator.copy(tmp_path / "strict")
    strict.change("cloudbackup.yml", lambda values: values["defaults"].update(time_limit="5s"))
    gone = fleet.during(lambda: eventually(lambda: not fleet.gate.dump(), 60))
    night = fleet.night(gone, "mariadb", operator=strict, alone=True)
    assert night.code == 4
    assert re.search(r"no end after 5 seconds[^\n]*\n.*time_limit", night.line(fleet.victim, "mariadb")), night.printed
    assert night.made[fleet.victim] == []


@pytest.fixture
def made(fleet: Fleet) -> Iterator[Path]:
    """The file that tells the process which has made an archive and goes on holding its tongue."""
    host = fleet.host
    borg, hold, told = host.paths.programs / "borg", host.home / "hold", host.home / "made"
    os.mkfifo(hold)
    borg.write_text(SILENT.format(program=programs.find("borg"), home=host.home))
    borg.chmod(0o755)
    yield told
    for each in (borg, hold, told):
        each.unlink()


@pytest.mark.parametrize("role", ["borg", "sshd"])
def test_an_archive_whose_end_was_not_heard_is_taken_over(fleet: Fleet, made: Path, role: str) -> None:
    def strike() -> bool:
        assert eventually(made.exists), "no archive was made"
        os.kill(int(made.read_text()) if role == "borg" else min(ROLES[role](fleet, 0)), signal.SIGKILL)
        return True

    night = fleet.night(strike, "files")
    assert night.code == 3
    assert re.search(r" warning .*\n.*there and whole", night.line(fleet.victim, "files")), night.printed
    record = fleet.records(fleet.victim)[-1]
    assert (record["outcome"], [record["archive"]]) == ("warning", night.made[fleet.victim])
    assert "retried" not in record.get("details", {})


def test_an_archive_whose_operator_was_killed_before_the_record_is_no_stranger(fleet: Fleet, made: Path) -> None:
    def strike() -> bool:
        assert fleet.running
        assert eventually(made.exists), "no archive was made"
        os.killpg(fleet.running.pid, signal.SIGKILL)
        return True

    night = fleet.night(strike, "files", alone=True, ended=-signal.SIGKILL)
    (archive,) = night.made[fleet.victim]
    assert archive not in [record.get("archive") for record in fleet.records(fleet.victim)]
    assert fleet.operator.report()[fleet.victim, "files"]["error"] is None
    assert archive in fleet.operator.done("report.history", "--app", fleet.victim, "--action", "begun")
    assert (
        fleet.operator.done("check", "--app", fleet.victim, "--max-duration", "600", "--part", "1/1", "--quiet") == ""
    )
    assert fleet.known[fleet.victim][archive] in fleet.records(fleet.victim)[-1]["details"]["known_ids"]
