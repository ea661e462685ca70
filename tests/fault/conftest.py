"""One fleet for all faults: two apps alike, with their first backups. A test gets it mended."""

import shutil
from collections.abc import Iterator

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.fault.fleet import Fleet


@pytest.fixture(scope="session")
def whole_fleet() -> Iterator[Fleet]:
    folder = scratch_folder()
    lab = Lab.start(folder, [AppPlan(name, megabytes=1, files_megabytes=1) for name in ("blog", "shop")])
    yield Fleet.ready(lab)
    lab.remove()
    shutil.rmtree(folder)


@pytest.fixture
def fleet(whole_fleet: Fleet) -> Iterator[Fleet]:
    """The fleet, with the other app as its victim: what was harmed by the last fault is now what must not be."""
    whole_fleet.turn()
    yield whole_fleet
    whole_fleet.lab.box.faults.clear()
