"""An app gets another name, wherever the operator is killed: its archives stay its own."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.restore as fleet_restore
import tasks.fleet.verify as fleet_verify
from tasks.app import check, rename
from tasks.app.checks import checks
from tasks.errors import RefusedError, UsageError
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.fault.killed import Forking
from tests.integration.attack.support import EVERY, LONG, Place, Scene, put_back
from tests.integration.fleet.support import CHECKOUT, Operator

BLOCK = re.compile(r"<!-- a test runs these lines: ([\w-]+) -->\n```bash\n(.*?)```", re.DOTALL)
RUNBOOK = dict(BLOCK.findall((CHECKOUT / "docs/runbook.md").read_text()))
UNFINISHED = "a renaming of the app by"


@pytest.fixture(autouse=True)
def as_before(scene: Scene, tmp_path: Path) -> Iterator[None]:
    """Put back what the operator and the host have."""
    operator = scene.lab.folder / "operator"
    box = scene.lab.box.home() / ".ssh"
    places = [scene.lab.inventory, operator / "escrow", scene.lab.apps["shop"].home / ".ssh", box]
    with put_back(places, tmp_path):
        yield


def renamed(scene: Scene, old: str = "shop", new: str = "store") -> list[str]:
    said: list[str] = []
    rename.run(str(scene.lab.inventory), old, new, lambda _: True, said.append)
    return said


def row(scene: Scene) -> Row:
    """Return the report's one row, under whichever name the app has."""
    with Session(load(scene.lab.inventory)) as session:
        (app,) = session.inventory.apps.values()
        return gather(session, [app]).apps[0]


def wrong(scene: Scene) -> str:
    """Return what `app.check` says is wrong, under whichever name the app has."""
    with Session(load(scene.lab.inventory)) as session:
        (app,) = session.inventory.apps.values()
        return "; ".join(each.text for each in checks(session, app) if each.level == "error")


@LONG
def test_killed_before_any_step_it_is_told_and_ended_by_the_same_command(
    place: Place, program: Forking, tmp_path: Path
) -> None:
    scene, words = place.scene, ("app.rename", "--app=shop", "--to=store", "--yes")
    environment = Operator(scene.lab.inventory).environment()
    before, first, told = scene.listed(), place.content(), 0
    for stop in range(1, 200, 1 if EVERY else 3):
        place.restore()
        end = program.run(environment, words, stop)
        if not end.killed:
            break
        at = f"{end.steps}\n{end.printed}"
        if UNFINISHED in (row(scene).error or ""):
            assert told or UNFINISHED in wrong(scene), at
            told += 1
        else:
            assert place.content() == first, at
        again = program.run(environment, words)
        assert again.code == 0, (at, again)
        has_only_the_new_name(scene)
        found = row(scene)
        assert (found.app, found.status, found.error, found.archives) == ("store", "ok", None, len(before)), at
    assert end.code == 0, end
    assert told > 3, end.steps
    well_at_the_end(scene, before, tmp_path)


def has_only_the_new_name(scene: Scene) -> None:
    """Assert that nothing has the old name but the archives."""
    pool, shop = scene.lab.box.home() / "cloudbackup", scene.lab.apps["shop"]
    assert sorted(path.name for path in pool.iterdir()) == ["records", "store"]
    assert [path.name for path in (pool / "records").iterdir()] == ["store"]
    assert not list((shop.home / ".ssh").glob("cloudbackup_shop*"))
    keys = (scene.lab.box.home() / ".ssh/authorized_keys").read_text()
    assert (keys.count("cloudbackup/store"), keys.count("cloudbackup/shop")) == (1, 0)
    exported = [path.name for path in (scene.lab.folder / "operator/escrow").glob("*.key")]
    assert [name for name in exported if not re.search(r"\d\.key$", name)] == ["box-store.key"]  # dated: of former keys


def well_at_the_end(scene: Scene, before: dict[str, str], folder: Path) -> None:
    """Assert that the archives are the app's in every way, and that it can have its old name back."""
    has_only_the_new_name(scene)
    inventory = str(scene.lab.inventory)
    assert check.run(inventory, ()) == 0
    assert fleet_backup.run(inventory, fleet_backup.Options()) == 0
    assert fleet_verify.run(inventory, fleet_verify.Options(archive=min(before), apps=("store",))) == 0
    wanted = fleet_restore.Options("store", archive=min(before), target=str(folder / "restored"))
    assert fleet_restore.run(inventory, wanted, lambda _: True) == 0
    assert (folder / "restored" / scene.new.lstrip("/")).read_bytes() == scene.content
    found = row(scene)
    assert (found.status, found.error, found.archives) == ("ok", None, len(before) + 1)
    with pytest.raises(UsageError, match="was renamed to store already"):
        renamed(scene)
    back = {"shop": "store", "store": "shop"}
    for line in RUNBOOK["rename"].splitlines():
        words = [back.get(word, word) for word in line.split()[1:]]
        Operator(scene.lab.inventory).done(*words, *(["--yes"] if "--to" in words else []))
    assert (row(scene).app, row(scene).archives) == ("shop", len(before) + 1)


def test_what_cannot_be_renamed_is_refused_and_nothing_changes(scene: Scene) -> None:
    pool = scene.lab.box.home() / "cloudbackup"
    for new, error in (("Shop!", UsageError), ("shop", UsageError)):
        with pytest.raises(error):
            renamed(scene, new=new)
    lock = pool / "shop/lock.exclusive"
    lock.mkdir()
    (lock / "somewhere@1.17-0").touch()
    with pytest.raises(RefusedError, match="held by process 17"):
        renamed(scene)
    shutil.rmtree(lock)
    (pool / "store").mkdir()
    with pytest.raises(RefusedError, match="has a repository or records of that name"):
        renamed(scene)
    assert row(scene).error is None
    assert [path.name for path in (scene.lab.inventory / "apps").glob("*.yml")] == ["shop.yml"]
