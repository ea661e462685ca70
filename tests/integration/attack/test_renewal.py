"""After a host was taken over: a new repository for what comes, the old one kept, wherever the operator was killed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.borg import renewal
from tasks.fleet import saving
from tasks.storage import set_aside
from tasks.storage.repository import Repository
from tests.integration.attack.support import Scene

UNFINISHED = "a renewal by"


class Killed(BaseException):
    """The process is gone."""


def dies(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def as_before(scene: Scene, tmp_path: Path) -> Iterator[None]:
    """Put back what the operator and the host have: passphrases, escrow, access keys."""
    operator = scene.lab.folder / "operator"
    places = [operator / "secrets", operator / "escrow", scene.lab.apps["shop"].home / ".ssh", box_keys(scene).parent]
    for number, place in enumerate(places):
        shutil.copytree(place, tmp_path / f"before-{number}")
    yield
    for number, place in enumerate(places):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / f"before-{number}", place)


def box_keys(scene: Scene) -> Path:
    return scene.lab.box.home() / ".ssh/authorized_keys"


def renew(scene: Scene) -> list[str]:
    said: list[str] = []
    renewal.run(str(scene.lab.inventory), "shop", "", lambda _: True, said.append)
    return said


def aside(scene: Scene) -> Path:
    (found,) = (scene.lab.box.home() / "cloudbackup").glob("shop.until-*")
    return found


def stolen(scene: Scene) -> tuple[Repository, Path]:
    """Return the repository as the host has it now, and a thief's copy of the host's key."""
    repository, key = scene.host, scene.lab.apps["shop"].home / ".ssh/cloudbackup_shop"
    copy = scene.lab.folder / "stolen"
    shutil.copy(key, copy)
    copy.chmod(0o600)
    return repository, copy


def listed_by_thief(taken: tuple[Repository, Path], scene: Scene) -> subprocess.CompletedProcess[str]:
    """Log in with the stolen key, by ssh alone."""
    box, (_, key) = scene.lab.box, taken
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    login = ["ssh", "-F", "none", "-i", str(key), *options, "-o", "IdentitiesOnly=yes", "-p", str(box.port)]
    return subprocess.run(
        [*login, f"{box.account().name}@127.0.0.1", "borg", "--version"],
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
    assert saving.run(str(scene.lab.inventory), saving.Options()) == 0
    assert len(scene.listed()) == 1
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)


STEPS = {  # what is not done any more when the operator is killed there
    "announced": ("tasks.borg.renewal", "_renew_keys"),
    "keys out": ("tasks.storagebox.install", "_remove_host_key"),
    "keys": ("tasks.borg.renewal", "_renew_passphrase"),
    "old passphrase kept": ("tasks.storage.secret_store", "generate"),
    "passphrase": ("tasks.borg.renewal", "_set_aside"),
    "locked": ("tasks.remote.files.SftpFiles", "rename"),
    "moved": ("tasks.storage.set_aside", "move_records"),
    "records begun": ("tasks.storage.set_aside", "_move"),
    "records": ("tasks.borg.renewal", "repository_id"),
    "escrow": ("tasks.borg.renewal", "_made"),
    "made": ("tasks.borg.init", "archives"),
    "exported": ("tasks.borg.guard", "look"),
    "recorded": ("tasks.borg.noting", "_write"),
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


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    taken = stolen(scene)
    assert listed_by_thief(taken, scene).returncode != 255
    kill_at(scene, monkeypatch, step)
    assert UNFINISHED in (scene.row().error or ""), scene.row()
    said = renew(scene)
    assert "Permission denied" in listed_by_thief(taken, scene).stderr
    well_at_the_end(scene, said, tmp_path)
