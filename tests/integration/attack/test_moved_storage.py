"""An app's repository goes to another storage, wherever the operator is killed: never two of them, and its archives stay."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import tasks.fleet.backup as fleet_backup
import tasks.fleet.restore as fleet_restore
from tasks.app import check, new_storage
from tasks.app.storage_move import Destination
from tasks.borg.client import break_lock
from tasks.errors import RefusedError, UsageError
from tasks.remote.files import LocalFiles
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.integration.attack.support import Scene, put_back
from tests.integration.fleet.support import CHECKOUT, Operator
from tests.killed import Killed, dies

BLOCK = re.compile(r"<!-- a test runs these lines: ([\w-]+) -->\n```bash\n(.*?)```", re.DOTALL)
RUNBOOK = dict(BLOCK.findall((CHECKOUT / "docs/runbook.md").read_text()))
UNFINISHED = "a move to another storage by"
LONG = pytest.mark.timeout(1800)  # seconds: each step is a try of its own, on whatever machine


@pytest.fixture(autouse=True)
def places(scene: Scene, tmp_path: Path) -> Iterator[Path]:
    """Add the storages `vault`, a folder of the same account, and `disk`, one of the app's host; return the latter."""
    box, disk = scene.lab.box.home(), tmp_path / "disk"
    disk.mkdir()
    operator = scene.lab.folder / "operator"
    with put_back(
        [scene.lab.inventory, operator / "escrow", scene.lab.apps["shop"].home / ".ssh", box / ".ssh"], tmp_path
    ):
        file = scene.lab.inventory / "cloudbackup.yml"
        values = yaml.safe_load(file.read_text())
        (name,) = values["storages"]
        values["storages"] |= {
            "vault": values["storages"][name] | {"directory": "vault"},
            "disk": {"kind": "local", "directory": str(disk)},
        }
        values["defaults"] = values.get("defaults", {}) | {"storage": name}
        file.write_text(yaml.safe_dump(values))
        yield disk
    shutil.rmtree(box / "vault", ignore_errors=True)


def moved(scene: Scene, storage: str) -> list[str]:
    said: list[str] = []
    new_storage.run(str(scene.lab.inventory), Destination("shop", storage), lambda _: True, said.append)
    return said


def row(scene: Scene) -> Row:
    with Session(load(scene.lab.inventory)) as session:
        return gather(session, session.inventory.select(("shop",))).apps[0]


def segments(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("data/*/*")}


STEPS = {  # what is not done any more when the operator is killed there
    "announced": ("tasks.borg.folder", "hold"),
    "held": ("tasks.storage.repository_copy", "copy"),
    "first file": ("tasks.storage.repository_copy", "_copy_file"),
    "copied": ("tasks.app.new_storage", "_let_in"),
    "let in": ("tasks.app.new_storage", "_proven"),
    "proven": ("tasks.app.new_storage", "_copy_records"),
    "records": ("tasks.app.new_storage", "write_whole"),
    "escrow": ("tasks.app.new_storage", "_switch"),
    "file": ("tasks.app.new_storage", "_ended"),
    "old keys": ("tasks.borg.folder", "rename"),
    "old folder": ("tasks.storage.set_aside", "move_records"),
    "old records": ("tasks.app.new_storage", "_rename_escrow"),
    "old key": ("tasks.app.new_storage", "archives"),
    "opened": ("tasks.borg.recorder", "_write"),
}


@LONG
def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, box = scene.listed(), scene.lab.box.home()
    was = segments(box / "cloudbackup/shop")
    for step, (place, name) in STEPS.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"{place}.{name}", dies)
            with pytest.raises(Killed):
                moved(scene, "vault")
        assert UNFINISHED in (row(scene).error or ""), step
        there = [path for path in (box / "cloudbackup/shop", box / "vault/shop") if (path / "config").exists()]
        free = [path for path in there if not (path / "lock.exclusive").exists()]
        assert len(free) <= 1 or step == "announced", step
    said = moved(scene, "vault")
    assert segments(box / "vault/shop") == was
    (kept,) = re.findall(r"kept in \w+ as (\S+)", "\n".join(said))
    assert segments(box / "cloudbackup" / kept) == was
    assert not (box / "cloudbackup/shop").exists()
    keys = (box / ".ssh/authorized_keys").read_text()
    assert (keys.count("vault/shop"), keys.count("cloudbackup/shop")) == (1, 0)
    found = row(scene)
    assert (found.status, found.error, found.archives) == ("ok", None, len(before))
    with pytest.raises(UsageError, match="is in vault already"):
        moved(scene, "vault")


def test_its_archives_are_its_own_in_a_storage_of_another_kind_and_back(scene: Scene, tmp_path: Path) -> None:
    before, inventory = scene.listed(), str(scene.lab.inventory)
    for number, storage in enumerate(("disk", "box"), 1):
        told = "".join(followed(scene, storage))
        found = row(scene)
        assert (found.status, found.error, found.archives) == ("ok", None, len(before) + number)
    (command,) = re.findall(r"`inv (borg.rollback .*?)`", told)
    kept = tmp_path / "disk" / command.split()[-1]
    assert (kept / "config").exists()
    Operator(scene.lab.inventory).done(*command.split(), "--yes")
    assert not kept.exists()
    assert [path.name for path in (tmp_path / "disk/records").iterdir()] == []
    assert check.run(inventory, ()) == 0
    wanted = fleet_restore.Options("shop", archive=min(before), target=str(tmp_path / "restored"))
    assert fleet_restore.run(inventory, wanted, lambda _: True) == 0
    assert (tmp_path / "restored" / scene.new.lstrip("/")).read_bytes() == scene.content


def followed(scene: Scene, storage: str) -> Iterator[str]:
    """Yield what the lines of the runbook print, with that storage in the place of theirs."""
    for line in RUNBOOK["move-storage"].splitlines():
        words = [storage if word == "vault" else word for word in line.split("#")[0].split()[1:]]
        yield Operator(scene.lab.inventory).done(*words, *(["--yes"] if "--storage" in words else []))


def test_a_move_that_was_begun_is_taken_back(scene: Scene, monkeypatch: pytest.MonkeyPatch, places: Path) -> None:
    before, box = scene.listed(), scene.lab.box.home()
    keys = (box / ".ssh/authorized_keys").read_text()
    for storage, place, name in (
        ("vault", "tasks.app.new_storage", "_switch"),
        ("disk", "tasks.app.new_storage", "_let_in"),
        ("disk", "tasks.storage.repository_copy", "_copy_file"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{place}.{name}", dies)
            with pytest.raises(Killed):
                moved(scene, storage)
        with pytest.raises(RefusedError, match="is being moved to the storage"):
            moved(scene, "disk" if storage == "vault" else "vault")
        moved(scene, "box")
        found = row(scene)
        assert (found.status, found.error, found.archives) == ("ok", None, len(before))
        assert not list(places.glob("[!r]*")), "a part of the copy stayed"
        assert not list((box / "vault").glob("[!r]*")), "a part of the copy stayed"
    assert sorted((box / ".ssh/authorized_keys").read_text().splitlines()) == sorted(keys.splitlines())
    assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) == 0


def test_what_cannot_be_moved_is_refused_and_nothing_changes(scene: Scene, places: Path) -> None:
    with pytest.raises(UsageError, match="no storage `valt`; did you mean vault"):
        moved(scene, "valt")
    with pytest.raises(UsageError, match="is in box already"):
        moved(scene, "box")
    (places / "shop").mkdir()
    with pytest.raises(RefusedError, match="has a repository or records of that name already"):
        moved(scene, "disk")
    lock = scene.lab.box.home() / "cloudbackup/shop/lock.exclusive"
    lock.mkdir()
    (lock / "somewhere@1.17-0").touch()
    with pytest.raises(RefusedError, match="held by process 17"):
        moved(scene, "vault")
    assert break_lock.holders(LocalFiles(), str(lock.parent))
    shutil.rmtree(lock)
    assert row(scene).error is None
