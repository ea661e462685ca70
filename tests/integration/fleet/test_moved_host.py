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
from tasks.app.move import NewHost
from tasks.errors import RefusedError, UsageError
from tasks.remote.ssh import fingerprint
from tasks.report.gather import gather
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.integration.fleet.support import Operator
from tests.killed import Killed, dies

UNFINISHED = "a move to another host by"


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


STEPS = {  # what is not done any more when the operator is killed there
    "announced": ("tasks.app.move", "install_app_key"),
    "let in": ("tasks.app.move", "write_whole"),
    "file": ("tasks.app.move", "_ended"),
    "others out": ("tasks.app.move", "archives"),
    "opened": ("tasks.borg.recorder", "_write"),
}


def test_killed_at_any_step_it_is_told_and_ended_by_the_same_command(
    lab: Lab, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match="is not the host key to trust"):
        moved(lab, inventory, trusted=False)
    assert UNFINISHED not in error(inventory)
    before = (lab.box.home() / ".ssh/authorized_keys").read_text()
    for step, (place, name) in STEPS.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"{place}.{name}", dies)
            with pytest.raises(Killed):
                moved(lab, inventory)
        assert UNFINISHED in error(inventory), step
    moved(lab, inventory)
    assert UNFINISHED not in error(inventory)
    with pytest.raises(UsageError, match="already"):
        moved(lab, inventory)
    keys = (lab.box.home() / ".ssh/authorized_keys").read_text()
    (old,) = (line for line in before.splitlines() if line.endswith("cloudbackup shop"))
    (new,) = (line for line in keys.splitlines() if line.endswith("cloudbackup shop"))
    assert old != new
    public = (lab.apps["blog"].home / ".ssh/cloudbackup_shop.pub").read_text().split()[1]
    assert public in new
    assert fleet_backup.run(str(inventory), fleet_backup.Options()) == 0
    file = (inventory / "apps/shop.yml").read_text()
    assert f"port: {lab.apps['blog'].port}" in file
