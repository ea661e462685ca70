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
from tasks.errors import RefusedError, UsageError
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.integration.attack.support import Scene, put_back
from tests.integration.fleet.support import CHECKOUT, Operator
from tests.killed import Killed, dies

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


STEPS = {  # what is not done any more when the operator is killed there
    "announced": ("tasks.app.rename", "install_app_key"),
    "key": ("tasks.remote.sftp_files.SftpFiles", "rename"),
    "folder": ("tasks.app.rename", "_move_records"),
    "records": ("tasks.app.rename", "escrow_path"),
    "escrow": ("tasks.app.rename", "write_whole"),
    "file written": ("tasks.app.rename", "_rename"),
    "file": ("tasks.app.rename", "_ended"),
    "keys": ("tasks.app.rename", "_keep_memory"),
    "old records": ("tasks.app.rename", "repository_id"),
    "confirmed": ("tasks.borg.recorder", "_write"),
}


def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = scene.listed()
    for step, (place, name) in STEPS.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"{place}.{name}", dies)
            with pytest.raises(Killed):
                renamed(scene)
        assert UNFINISHED in (row(scene).error or ""), step
    renamed(scene)
    found = row(scene)
    assert (found.app, found.status, found.error, found.archives) == ("store", "ok", None, len(before))
    well_at_the_end(scene, before, tmp_path)


def well_at_the_end(scene: Scene, before: dict[str, str], folder: Path) -> None:
    """Assert that nothing has the old name but the archives, and that they are the app's in every way."""
    inventory = str(scene.lab.inventory)
    pool, shop = scene.lab.box.home() / "cloudbackup", scene.lab.apps["shop"]
    assert sorted(path.name for path in pool.iterdir()) == ["records", "store"]
    assert [path.name for path in (pool / "records").iterdir()] == ["store"]
    assert not list((shop.home / ".ssh").glob("cloudbackup_shop*"))
    keys = (scene.lab.box.home() / ".ssh/authorized_keys").read_text()
    assert (keys.count("cloudbackup/store"), keys.count("cloudbackup/shop")) == (1, 0)
    exported = [path.name for path in (scene.lab.folder / "operator/escrow").glob("*.key")]
    assert [name for name in exported if not re.search(r"\d\.key$", name)] == ["box-store.key"]  # dated: of former keys
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
