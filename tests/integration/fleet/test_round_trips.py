"""How often a run waits for the box and for the host: at 100 ms each, that is most of what a small app's backup takes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from lab.round_trips import RoundTrips
from tests.integration.fleet.support import Operator, make_ready


class Counted:
    """An operator who reaches the box and the host through proxies that count."""

    def __init__(self, operator: Operator, box: RoundTrips, host: RoundTrips) -> None:
        self.operator, self.box, self.host = operator, box, host

    def trips(self, *words: str) -> tuple[list[int], list[int]]:
        """Run a task; return the round trips of each connection to the box, and to the host."""
        before = len(self.box.connections), len(self.host.connections)
        self.operator.done(*words)
        found = self.box.connections[before[0] :], self.host.connections[before[1] :]
        return [each.trips for each in found[0]], [each.trips for each in found[1]]


def through(port: int, *keys: str) -> Callable[[dict[str, Any]], None]:
    """Return a change of an inventory file: another port at the end of these keys."""

    def change(values: dict[str, Any]) -> None:
        for key in keys:
            values = values[key]
        values["port"] = port

    return change


@pytest.fixture(scope="module")
def counted() -> Iterator[Counted]:
    """A lab with one small app that has files, a database and binary logs, saved once."""
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", megabytes=1, files_megabytes=1, binlog=True),))
    with ExitStack() as stack:
        box = stack.enter_context(RoundTrips(lab.box.port))
        host = stack.enter_context(RoundTrips(lab.apps["shop"].port))
        operator = Operator(lab.inventory)
        (storage,) = operator.storages()
        operator.change("cloudbackup.yml", through(box.port, "storages", storage))
        operator.change("apps/shop.yml", through(host.port, "ssh"))
        make_ready(lab)
        operator.done("backup")
        yield Counted(operator, box, host)
    lab.remove()
    shutil.rmtree(folder)


def test_a_backup_of_a_small_app_waits_seldom(counted: Counted) -> None:
    """The first connection is the operator's own, for records and what the folder shows; the others are borg's."""
    least = min((counted.trips("backup") for _ in range(2)), key=lambda found: sum(found[0]))
    assert least[0][0] <= 56, least
    assert sum(least[0]) <= 136, least  # two of the host's borg, two listings by the operator's borg
    assert sum(least[1]) <= 28, least


def test_a_report_of_one_app_takes_less_than_12_round_trips(counted: Counted) -> None:
    counted.operator.done("report")
    assert min(sum(counted.trips("report")[0]) for _ in range(2)) < 12
