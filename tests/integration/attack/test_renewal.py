"""After a host was taken over: a new repository for what comes, the old one kept, wherever the operator was killed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import tasks.borg.change_passphrase as borg_change_passphrase
import tasks.fleet.backup as fleet_backup
from tasks.borg import removal, verbs
from tasks.borg import renew as borg_renew
from tasks.borg.apps import Opened
from tasks.borg.client.list import archives
from tasks.borg.verbs import remove_set_aside
from tasks.errors import AppError, RefusedError
from tasks.remote.secret import Secret
from tasks.run.session import Session
from tasks.storage import set_aside
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tests.integration.attack.support import QUICK, Scene, put_back
from tests.killed import Killed, dies

UNFINISHED = "a renewal by"


@pytest.fixture(autouse=True)
def as_before(scene: Scene, tmp_path: Path) -> Iterator[None]:
    """Put back what the operator and the host have: passphrases, escrow, access keys."""
    operator = scene.lab.folder / "operator"
    places = [operator / "secrets", operator / "escrow", scene.lab.apps["shop"].home / ".ssh", box_keys(scene).parent]
    with put_back(places, tmp_path):
        yield


def box_keys(scene: Scene) -> Path:
    return scene.lab.box.home() / ".ssh/authorized_keys"


def renew(scene: Scene) -> list[str]:
    said: list[str] = []
    borg_renew.run(str(scene.lab.inventory), "shop", "", lambda _: True, said.append)
    return said


def aside(scene: Scene) -> Path:
    (found,) = (scene.lab.box.home() / "cloudbackup").glob("shop.until-*")
    return found


def stolen(scene: Scene) -> Path:
    """Return a thief's copy of the host's key."""
    key = scene.lab.apps["shop"].home / ".ssh/cloudbackup_shop"
    copy = scene.lab.folder / "stolen"
    shutil.copy(key, copy)
    copy.chmod(0o600)
    return copy


def login(key: Path, scene: Scene) -> subprocess.CompletedProcess[str]:
    """Log in with the stolen key, by ssh alone."""
    box = scene.lab.box
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    words = ["ssh", "-F", "none", "-i", str(key), *options, "-o", "IdentitiesOnly=yes", "-p", str(box.port)]
    return subprocess.run(
        [*words, f"{box.account().name}@127.0.0.1", "borg", "--version"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def stock(scene: Scene, line: str, folder: Path) -> str:
    """Run stock borg by the line that was printed, with the old passphrase where it is kept."""
    (kept,) = (scene.lab.folder / "operator/secrets").glob("shop.until-*")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        ["bash", "-c", f"export BORG_PASSCOMMAND='cat {kept}'; {line}"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "BORG_SELFTEST": "disabled"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def well_at_the_end(scene: Scene, said: list[str], folder: Path) -> None:
    """Assert all that a person was promised: the old archives are there, the new backup works, the report is ok."""
    (line,) = (line.strip() for line in said if "BORG_RELOCATED" in line)
    assert {each.split()[0] for each in stock(scene, line, folder).splitlines()} == set(scene.before)
    first = min(scene.before)
    stock(scene, line.replace("borg list", f"borg extract ::{first}"), folder)
    assert (folder / scene.new.lstrip("/")).read_bytes() == scene.content
    assert scene.listed() == {}
    assert UNFINISHED not in (scene.row().error or "")
    assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) == 0
    assert len(scene.listed()) == 1
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)


STEPS = {  # what is not done any more when the operator is killed there
    "announced": ("tasks.borg.renew", "_renew_keys"),
    "keys out": ("tasks.storagebox.install", "_remove_host_key"),
    "keys": ("tasks.borg.renew", "_renew_passphrase"),
    "old passphrase kept": ("tasks.borg.new_passphrase", "generate"),
    "passphrase": ("tasks.borg.renew", "_set_aside"),
    "locked": ("tasks.remote.sftp_files.SftpFiles", "rename"),
    "moved": ("tasks.storage.set_aside", "move_records"),
    "records begun": ("tasks.storage.set_aside", "_move"),
    "records": ("tasks.borg.renew", "repository_id"),
    "escrow": ("tasks.borg.renew", "_made"),
    "made": ("tasks.borg.client.init", "archives"),
    "exported": ("tasks.borg.guard", "look"),
    "recorded": ("tasks.borg.recorder", "_write"),
}


def kill_at(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    with monkeypatch.context() as patch:
        if step == "records begun":
            moves: list[str] = []
            move = set_aside._move

            def dies_later(*given: object) -> None:
                moves.append("")
                if len(moves) == 2:
                    raise Killed
                move(*given)  # type: ignore[arg-type]

            patch.setattr(set_aside, "_move", dies_later)
        else:
            place, name = STEPS[step]
            patch.setattr(f"{place}.{name}", dies)
        with pytest.raises(Killed):
            renew(scene)


@pytest.mark.parametrize("steps", [list(STEPS), list(STEPS)[2::4]], ids=["each", "some"])
def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: list[str]
) -> None:
    taken = stolen(scene)
    assert login(taken, scene).returncode != 255
    for step in steps:
        kill_at(scene, monkeypatch, step)
        assert UNFINISHED in (scene.row().error or ""), step
    said = renew(scene)
    assert "Permission denied" in login(taken, scene).stderr
    well_at_the_end(scene, said, tmp_path)
    renewed_aside_goes_behind_the_guard(scene)


def renewed_aside_goes_behind_the_guard(scene: Scene) -> None:
    name = aside(scene).name
    with Session(load(scene.lab.inventory)) as session:
        opened = Opened(session, scene.opened.app, session.repository(scene.opened.app, Side.OPERATOR))
        for line in remove_set_aside(opened, name, force=False, ask=lambda _: True):
            assert f"{name} removed" in line
    assert not list((scene.lab.box.home() / "cloudbackup").glob("**/shop.until-*"))
    assert len(scene.listed()) == 1


def test_it_is_refused_while_another_change_has_not_ended_and_while_somebody_works_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = scene.lab.box.home() / "cloudbackup/shop/lock.exclusive"
    lock.mkdir()
    (lock / "somewhere@1.17-0").touch()
    with pytest.raises(RefusedError, match="held by process 17"):
        renew(scene)
    shutil.rmtree(lock)
    assert scene.listed() == scene.before
    assert scene.row().error is None
    kill_at(scene, monkeypatch, "announced")
    with pytest.raises(RefusedError, match=r"a renewal by .* has not ended"):
        removal.intend_compact(scene.target)
    renew(scene)
    with monkeypatch.context() as patch:
        patch.setattr(borg_change_passphrase, "change", dies)
        with pytest.raises(Killed):
            list(verbs.change_passphrase(scene.opened, Secret("another"), ask=lambda _: True))
    with pytest.raises(RefusedError, match=r"a change of the passphrase, begun .* has not ended"):
        renew(scene)


def test_a_passphrase_that_is_kept_elsewhere_is_waited_for(scene: Scene, tmp_path: Path) -> None:
    """Nothing is moved until a person has put another one there."""
    place, inventory = tmp_path / "own", tmp_path / "inventory"
    place.write_text((scene.lab.folder / "operator/secrets/shop").read_text())
    shutil.copytree(scene.lab.inventory, inventory)
    file = inventory / "apps/shop.yml"
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**values, "passphrase": {"file": str(place)}}))
    for _ in range(2):
        with pytest.raises(AppError, match=f"{place} still has the old passphrase") as told:
            borg_renew.run(str(inventory), "shop", "", lambda _: True, lambda _: None)
    assert "put a new one" in told.value.remedy
    assert not list((scene.lab.box.home() / "cloudbackup").glob("shop.until-*"))
    assert scene.listed() == scene.before
    place.write_text("quite another")
    borg_renew.run(str(inventory), "shop", "", lambda _: True, lambda _: None)
    with Session(load(inventory)) as session:
        assert not archives(session.repository(session.inventory.app("shop"), Side.OPERATOR), how=QUICK).archives
    assert aside(scene).is_dir()
