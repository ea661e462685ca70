"""One lab for all tests of what may be freed and what comes back."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.storagebox.setup as storagebox_setup
from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tasks.borg import guard, removal, verbs
from tasks.borg.guard import Patience
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.fault.killed import Forking, forking
from tests.integration.attack.support import Place, Scene


@pytest.fixture(scope="session")
def stage() -> Iterator[Scene]:
    folder = scratch_folder()
    lab = Lab.start(folder, [AppPlan("shop", mariadb=False, files_megabytes=1)])
    try:
        storagebox_setup.run(str(lab.inventory), [], lambda *_: True, lambda _: None)
        with Session(load(lab.inventory)) as session:
            scene = Scene(lab, session, {}, 0)
            list(verbs.initialise(scene.opened))
            for number in range(3):
                Path(scene.new).write_bytes(os.urandom(50_000 + number))
                scene.content = scene.content or Path(scene.new).read_bytes()
                assert fleet_backup.run(str(lab.inventory), fleet_backup.Options()) == 0
                scene.before = scene.listed()
            scene.transaction = session.storage_of(scene.opened.app).state(scene.opened.app).transaction or 0
            yield scene
    finally:
        lab.remove()
        shutil.rmtree(folder)


@pytest.fixture
def scene(stage: Scene, tmp_path: Path) -> Iterator[Scene]:
    """Put back what the last attack may have left: the storage, the app's file, and what both sides' borg remember."""
    pool = stage.lab.box.home() / "cloudbackup"
    shutil.copytree(pool, tmp_path / "pool", symlinks=True)
    new = Path(stage.new).read_bytes()
    yield stage
    Path(stage.new).write_bytes(new)
    shutil.rmtree(pool)
    shutil.copytree(tmp_path / "pool", pool, symlinks=True)
    shutil.rmtree(stage.session.inventory.cache, ignore_errors=True)
    for rest in (".cache/borg", ".config/borg/security"):
        shutil.rmtree(stage.lab.apps["shop"].home / rest, ignore_errors=True)


@pytest.fixture(autouse=True)
def hasty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no other operator's record; a test of two operators asks for `patient`."""
    if "patient" not in request.fixturenames:
        monkeypatch.setattr(guard, "LOOK", 0.2)
        monkeypatch.setattr(guard, "PATIENT", Patience(0.4))
        monkeypatch.setattr(removal, "WAITING", Patience(0.4, removals=True))


@pytest.fixture
def patient() -> None:
    """Let the guard wait as long as it does for people."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    with forking(tmp_path_factory.mktemp("forking") / "printed") as program:
        yield program


@pytest.fixture
def place(scene: Scene, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "kept").mkdir()
    place = Place(scene, tmp_path / "kept")
    place.keep()
    yield place
    place.restore()
