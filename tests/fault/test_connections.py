"""How many connections a Storage Box sees of a whole fleet: it takes 10, whatever they are for."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan, BoxPlan
from tasks.borg.client.init import init_words
from tasks.borg.client.runner import run_writing, script
from tasks.run.parallel import BOX_PLACES
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tests.integration.fleet.support import Operator

APPS = [f"app{number:02}" for number in range(12)]
HOSTS = 3
MOST = 10  # connections that a Storage Box takes
ROOM = 64  # that the lab's box takes: one too many is counted, not refused


@pytest.fixture
def crowd() -> Iterator[tuple[Lab, Operator]]:
    """Twelve apps with repositories, four on each host."""
    folder = scratch_folder()
    hosts = [AppPlan(name, mariadb=False, files_megabytes=1) for name in APPS[:HOSTS]]
    lab = Lab.start(folder, hosts, BoxPlan(connections=ROOM))
    try:
        for number, name in enumerate(APPS[HOSTS:]):
            shutil.copy(lab.inventory / f"apps/{APPS[number % HOSTS]}.yml", lab.inventory / f"apps/{name}.yml")
        operator = Operator(lab.inventory)
        operator.done("storagebox.setup")
        with Session(load(lab.inventory)) as session, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: _init(session, name), APPS))
        yield lab, operator
    finally:
        lab.remove()
        shutil.rmtree(folder)


def _init(session: Session, name: str) -> None:
    app = session.inventory.app(name)
    session.storage_of(app).make_directory(app)
    repository = session.repository(app, Side.OPERATOR)
    run_writing(repository, script(repository, init_words()))  # without the key's export, which takes two more borgs


def test_a_fleet_at_work_never_has_more_connections_than_a_box_takes(crowd: tuple[Lab, Operator]) -> None:
    lab, operator = crowd
    faults = lab.box.faults
    parallel = ("--parallel", str(len(APPS)))
    most = {}
    for words in (
        ("backup", *parallel),
        ("report",),
        ("check", "--repository-only", *parallel),
        ("verify", *parallel),
    ):
        faults.most_connections()
        operator.done(*words)
        most[words[0]] = faults.most_connections()
    rows = operator.report()
    assert {name for (name, _), row in rows.items() if (row["status"], row["archives"]) == ("ok", 1)} == set(APPS)
    assert max(most.values()) <= MOST, most
    assert most["backup"] >= BOX_PLACES, most
