"""One lab for all tests of the fleet, with two apps whose backups are there. A test that breaks something mends it."""

import shutil
from collections.abc import Iterator

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.integration.fleet.support import Operator, make_ready


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    apps = (
        AppPlan("shop", megabytes=2, files_megabytes=2),
        AppPlan("blog", megabytes=2, files_megabytes=1, login="tcp"),
    )
    lab = Lab.start(folder, apps)
    make_ready(lab)
    yield lab
    lab.remove()
    shutil.rmtree(folder)


@pytest.fixture
def operator(lab: Lab) -> Iterator[Operator]:
    yield Operator(lab.inventory)
    lab.box.faults.clear()


@pytest.fixture(scope="module")
def all_well(lab: Lab, saved: str) -> None:
    """See that the newest word is of what the lab has: another file's tests may have failed, or saved something else."""
    operator = Operator(lab.inventory)
    operator.done("backup")
    for app in {app for (app, _), row in operator.report().items() if row["status"] != "ok"}:
        operator.done("verify", "--app", app)  # a drill that failed is the newest word until one succeeds


@pytest.fixture(scope="session")
def saved(lab: Lab) -> str:
    """Return what a first backup of everything printed."""
    return Operator(lab.inventory).done("backup")
