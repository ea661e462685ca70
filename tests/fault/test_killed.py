"""Each program of a backup is killed at several moments of the dump. Whatever dies, no half archive is listed."""

import re

import pytest

from tasks.lab import mariadb, process
from tests.fault.fleet import Fleet

MOMENTS = pytest.mark.parametrize("part", [0.0, 0.5, 0.9])


@MOMENTS
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
    night = fleet.night(fleet.kill(role, part), "mariadb")
    if not mariadb.running(server):
        mariadb.start(server, fleet.host.home, {process.MARKER: str(fleet.lab.folder)})
    if night.struck:
        assert re.search(says, night.line(fleet.victim, "mariadb"))
        assert night.made[fleet.victim] == []


@MOMENTS
def test_a_lost_connection_to_the_host_is_tried_again(fleet: Fleet, part: float) -> None:
    night = fleet.night(fleet.kill("sshd", part), "mariadb")
    assert night.code == 0
    if night.struck:
        assert "connection was lost" in fleet.records(fleet.victim)[-1]["details"]["retried"][0]


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_lost_connection_to_the_storage_is_tried_again(fleet: Fleet, part: float) -> None:
    night = fleet.night(fleet.kill("borg serve", part), "mariadb")
    assert night.code == 0
    if night.struck:
        assert "connection to the storage was lost" in fleet.records(fleet.victim)[-1]["details"]["retried"][0]


def test_the_faults_struck_and_all_that_was_listed_is_whole(whole_fleet: Fleet) -> None:
    assert whole_fleet.strikes.count(True) > len(whole_fleet.strikes) / 2
    for app in whole_fleet.lab.apps:
        assert "whole" in whole_fleet.operator.done("borg.check", "--app", app, "--verify-data")
