"""Each program of a backup is killed at several moments of the dump. Whatever dies, no half archive is listed."""

import re

import pytest

from lab import mariadb, process
from tests.fault.fleet import Fleet

MOMENTS = (0, 0.25, 0.5, 0.75, 0.95)
ALONE = (0.25, 0.75)  # moments at which the other app, which the same night would show to be unharmed, is left out


@pytest.mark.parametrize("part", MOMENTS)
@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("borg", "borg was killed on the host"),
        ("mariadb-backup", "no whole backup|was killed on the host"),
        ("filter", "without the line that says it completed|was killed on the host"),
        ("server", "no database server answers"),
    ],
)
def test_a_killed_program_leaves_no_archive(fleet: Fleet, role: str, says: str, part: float) -> None:
    server = fleet.host.server
    night = fleet.night(fleet.kill(role, part), "mariadb", alone=part in ALONE)
    if not mariadb.running(server):
        mariadb.start(server, fleet.host.home, {process.MARKER: str(fleet.lab.folder)})
    assert re.search(says, night.line(fleet.victim, "mariadb")), night.printed
    assert night.made[fleet.victim] == []


@pytest.mark.parametrize(
    ("role", "part"), [*(("sshd", part) for part in MOMENTS), ("borg serve", 0), ("borg serve", 0.95)]
)
def test_a_lost_connection_is_tried_again(fleet: Fleet, role: str, part: float) -> None:
    night = fleet.night(fleet.kill(role, part), "mariadb", alone=part in ALONE)
    assert night.code == 0
    says = "connection was lost" if role == "sshd" else "connection to the storage was lost"
    assert says in fleet.records(fleet.victim)[-1]["details"]["retried"][0]


def test_all_that_was_listed_is_whole(whole_fleet: Fleet) -> None:
    for app in whole_fleet.lab.apps:
        assert "whole" in whole_fleet.operator.done("borg.check", "--app", app, "--verify-data")
