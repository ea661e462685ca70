"""Several operators at once, and locks: one waits for the other, or says who holds the repository. No lock is broken."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fault.fleet import ROLES, Fleet
from tests.integration.fleet.support import Operator, eventually, on_host, untimed


@pytest.fixture
def hasty(fleet: Fleet, tmp_path: Path) -> Operator:
    """An operator who waits for a lock no longer than a second."""
    hasty = fleet.operator.copy(tmp_path / "hasty")
    hasty.change("cloudbackup.yml", lambda values: values["defaults"].update(lock_wait="1s"))
    return hasty


def test_of_two_operators_one_waits_or_says_who_works_and_looking_disturbs_nobody(
    fleet: Fleet, hasty: Operator
) -> None:
    victim = fleet.victim
    seen: dict[str, Any] = {}

    def meanwhile() -> None:
        seen["held by"] = ROLES["borg serve"](fleet, 0)
        seen["report"] = fleet.operator.report()
        seen["backup"] = hasty.inv("backup", "--app", victim, "--source", "files")
        seen["check"] = hasty.inv("app.check", "--app", victim)
        fleet.beside = [fleet.operator.start("backup", "--app", victim, "--source", "files")]
        assert eventually(lambda: bool(on_host(fleet.lab, victim, f"::{victim}-files-"))), "the second does not begin"

    night = fleet.night(fleet.during(meanwhile), "mariadb", alone=True)
    assert night.code == 0
    assert [name.split("-")[1] for name in sorted(night.made[victim])] == ["files", "mariadb"]
    assert all(row["archives"] and row["status"] != "unknown" for row in seen["report"].values()), seen["report"]
    backup, check = seen["backup"], seen["check"]
    assert backup.returncode == 4, backup.stdout
    assert check.returncode == 0, check.stdout
    for said in (backup.stdout, check.stdout):
        assert "the repository is locked by process" in said
        assert any(f"process {pid} on " in said for pid in seen["held by"]), said
        assert f"inv borg.break-lock --app {victim}" in said


def beside_others(fleet: Fleet, operator: Operator, *words: str, room: int) -> "subprocess.CompletedProcess[str]":
    """Run a task while the box has `room` for so many connections, until it has refused one more."""
    faults = fleet.lab.box.faults
    assert eventually(lambda: faults.open_connections() == 0)
    faults.most_connections()
    faults.connections(room)
    try:
        running = operator.start(*words)
        assert eventually(lambda: faults.most_connections() > room), "none was refused"
    finally:
        faults.connections(None)
    printed, _ = running.communicate(timeout=60)
    return subprocess.CompletedProcess(words, running.returncode, untimed(printed))


def test_the_lock_of_a_machine_that_is_gone_is_named_and_not_broken(fleet: Fleet, hasty: Operator) -> None:
    lock = fleet.repository(fleet.victim) / "lock.exclusive"
    lock.mkdir()
    (lock / "gone@4242.4711-0").touch()
    night = fleet.night(source="files", operator=hasty)
    assert night.code == 3
    assert "locked by process 4711 on gone@4242" in night.line(fleet.victim, "files")
    assert [entry.name for entry in lock.iterdir()] == ["gone@4242.4711-0"]
    fleet.operator.done("borg.break-lock", "--app", fleet.victim, "--yes")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("prune", "--yes", "--force"), 3),  # nothing is to go, and forcing settles nothing: a warning
        (("check", "--repository-only"), 0),
        (("verify", "--source", "files"), 0),
    ],
)
def test_a_connection_too_many_is_tried_again(fleet: Fleet, tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    operator, victim = fleet.operator.copy(tmp_path / "keeping"), fleet.victim
    operator.change(f"apps/{victim}.yml", lambda values: values.update(keep={"last": 99}))
    before = len(fleet.records(victim))
    end = beside_others(fleet, operator, *words, "--app", victim, room=0)
    assert end.returncode == code, end.stdout
    told = [record["details"]["retried"] for record in fleet.records(victim)[before:]]
    assert all(re.search("the connection|cannot be reached", met[0]) for met in told), told
    if words[0] == "prune":
        assert "nothing was to go" in end.stdout
    assert len(told) == (0 if words[0] == "prune" else 1)


def test_a_report_lists_again_what_it_was_refused(fleet: Fleet) -> None:
    end = beside_others(fleet, fleet.operator, "report", "--fresh", "--app", fleet.victim, room=1)
    assert end.returncode == 0, end.stdout
