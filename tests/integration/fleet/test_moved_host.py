"""An app goes on on another host, wherever the operator is killed; the host before can add nothing more."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

import tasks.fleet.backup as fleet_backup
from lab.lab import Lab, scratch_folder
from tasks.app import move
from tasks.app.checks import checks
from tasks.app.move import NewHost
from tasks.errors import RefusedError, UsageError
from tasks.remote.ssh import fingerprint
from tasks.report.gather import gather
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.fault.killed import Forking, content, forking
from tests.integration.attack.support import BESIDE, EVERY, LONG, put_back
from tests.integration.fleet.support import Operator

UNFINISHED = "a move to another host by"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    with forking(tmp_path_factory.mktemp("forking") / "printed") as program:
        yield program


@pytest.fixture
def inventory(lab: Lab, all_well: None) -> Iterator[Path]:
    """Return an inventory of the shop alone, without its database; keys are as before when it is done."""
    folder = scratch_folder()
    authorized = lab.box.home() / ".ssh/authorized_keys"
    before = authorized.read_text()
    operator = Operator(lab.inventory).copy(folder / "inventory")
    (operator.inventory / "apps/blog.yml").unlink()
    operator.change("apps/shop.yml", lambda values: values.pop("mariadb"))
    with mock.patch.dict(os.environ, operator.environment(), clear=True):
        yield operator.inventory
    authorized.write_text(before)
    for path in (lab.apps["blog"].home / ".ssh").glob("cloudbackup_shop*"):
        path.unlink()
    shutil.rmtree(folder)


def moved(lab: Lab, inventory: Path, *, trusted: bool = True) -> list[str]:
    said: list[str] = []
    blog = lab.apps["blog"]
    to = NewHost("shop", "127.0.0.1", blog.port)
    move.run(
        str(inventory),
        to,
        lambda _, shown: trusted and shown == fingerprint(blog.host_key),
        lambda _: True,
        said.append,
    )
    return said


def error(inventory: Path) -> str:
    with Session(load(inventory)) as session:
        return gather(session, [session.inventory.app("shop")]).apps[0].error or ""


def wrong(inventory: Path) -> str:
    """Return what `app.check` says is wrong."""
    with Session(load(inventory)) as session:
        found = checks(session, session.inventory.app("shop"))
        return "; ".join(each.text for each in found if each.level == "error" and each.name != "files")


@LONG
def test_killed_before_any_step_it_is_told_and_ended_by_the_same_command(
    lab: Lab, inventory: Path, program: Forking, tmp_path: Path
) -> None:
    home, blog = lab.box.home(), lab.apps["blog"]
    places = [inventory, home / ".ssh", home / "cloudbackup/records/shop", blog.home / ".ssh"]
    words = ["app.move", "--app=shop", "--host=127.0.0.1", f"--ssh-port={blog.port}", "--yes"]
    environment, first, told = Operator(inventory).environment(), content(places, BESIDE), 0
    for stop in range(1, 200, 1 if EVERY else 2):
        (tmp_path / str(stop)).mkdir()
        with put_back(places, tmp_path / str(stop)):
            end = program.run(environment, words, stop)
            if not end.killed:
                break
            at = f"{end.steps}\n{end.printed}"
            if UNFINISHED in error(inventory):
                assert told or UNFINISHED in wrong(inventory), at
                told += 1
            else:
                assert content(places, BESIDE) == first, at
            again = program.run(environment, words)
            assert again.code == 0, (at, again)
            assert UNFINISHED not in error(inventory), at
            only_the_new_host_is_let_in(lab, inventory)
    assert end.code == 0, end
    assert told > 2, end.steps


def only_the_new_host_is_let_in(lab: Lab, inventory: Path) -> None:
    blog, keys = lab.apps["blog"], (lab.box.home() / ".ssh/authorized_keys").read_text()
    (line,) = (line for line in keys.splitlines() if line.endswith("cloudbackup shop"))
    assert (blog.home / ".ssh/cloudbackup_shop.pub").read_text().split()[1] in line
    assert f"port: {blog.port}" in (inventory / "apps/shop.yml").read_text()


def test_what_is_moved_is_saved_from_there(lab: Lab, inventory: Path) -> None:
    with pytest.raises(RefusedError, match="is not the host key to trust"):
        moved(lab, inventory, trusted=False)
    assert UNFINISHED not in error(inventory)
    moved(lab, inventory)
    with pytest.raises(UsageError, match="already"):
        moved(lab, inventory)
    only_the_new_host_is_let_in(lab, inventory)
    assert fleet_backup.run(str(inventory), fleet_backup.Options()) == 0
