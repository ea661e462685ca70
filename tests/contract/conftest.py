"""One lab for all kinds of storage, and of each kind one storage that most tests share."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan, BoxPlan
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import KINDS
from tests.contract.place import Site
from tests.contract.support import borg_on_a_disk


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    folder = scratch_folder()
    beside = folder.with_name(folder.name + "-beside")
    flag = beside / "full"
    borg = borg_on_a_disk(beside / "borg", flag)
    apps = [AppPlan(name, mariadb=False, files_megabytes=1, borg=borg) for name in ("shop", "blog")]
    lab = Lab.start(folder, apps, BoxPlan(operator_key=False))
    try:
        yield Site(lab, flag)
    finally:
        lab.remove()
        shutil.rmtree(folder)
        shutil.rmtree(beside)


class Benches:
    """The storages made so far, one of each kind, and what ends them, also one that did not get ready."""

    def __init__(self, site: Site, ends: ExitStack) -> None:
        self._site = site
        self._ends = ends
        self._made: dict[str, Bench] = {}

    def of(self, kind: str) -> Bench:
        if kind not in self._made:
            place = KINDS[kind](self._site)
            self._ends.callback(place.close)
            self._made[kind] = Bench(kind, place)
            self._ends.callback(self._made[kind].hang_up)
        return self._made[kind]


@pytest.fixture(scope="session")
def benches(site: Site) -> Iterator[Benches]:
    with ExitStack() as ends:
        yield Benches(site, ends)


@pytest.fixture
def bench(request: pytest.FixtureRequest, benches: Benches) -> Bench:
    return benches.of(request.param)


@pytest.fixture
def shop(bench: Bench) -> Sides:
    return bench.sides("shop")


@pytest.fixture
def blog(bench: Bench) -> Sides:
    return bench.sides("blog")
