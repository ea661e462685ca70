"""The runbook's jobs of every day, run as they stand: most need no server but a directory."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.lab import Lab
from tests.integration.fleet.test_archive_by_moment import a_second
from tests.integration.fleet.test_runbook import Person, person
from tests.integration.local import local_inventory

__all__ = ["person"]


@pytest.fixture
def here(tmp_path: Path) -> Person:
    """Return who has an app on this machine that was saved, in a directory."""
    inventory = local_inventory(tmp_path, tmp_path / "fault")
    (inventory / "apps/new.yml").unlink()
    somebody = Person(inventory, tmp_path / "person")
    somebody.operator.done("borg.init")
    return somebody


def test_one_file_comes_back(here: Person, tmp_path: Path) -> None:
    file = tmp_path / "data" / "file"
    here.operator.done("backup")
    then = a_second()
    file.write_text("broken")
    here.operator.done("backup")
    told = here.follow(
        "one-file",
        ("app.conf --app", "file --app"),
        ("/etc/shop/app.conf", str(file)),
        ("yesterday", f"'{then}' --yes"),
    )
    assert file.read_text() == "content"
    assert f"{file} is back; what was there is in {file}.before-restore-" in told
    assert f"{file}\n" in told


def test_a_new_passphrase_opens_the_repository_and_the_old_one_does_not(here: Person) -> None:
    secrets = here.home / ".config/cloudbackup/secrets"
    secrets.mkdir(parents=True)
    told = here.follow("new-passphrase", ("--new", "--yes --new"))
    assert "the passphrase is changed" in told
    assert here.operator.inv("borg.list").returncode != 0
    new: dict[str, Any] = {"passphrase": {"file": str(secrets / "shop.new")}}
    here.operator.change("apps/shop.yml", lambda app: app.update(new))
    here.operator.done("borg.list")


def test_an_app_goes_on_in_another_storage_and_its_old_archives_are_seen(here: Person, tmp_path: Path) -> None:
    here.operator.done("backup")
    then = a_second()
    vault = {"kind": "local", "directory": str(tmp_path / "vault")}
    here.operator.change("cloudbackup.yml", lambda main: main["storages"].update(vault=vault))
    here.operator.change("apps/shop.yml", lambda app: app.update(storage=["vault", "disk"]))
    look = tmp_path / "look"
    told = here.follow("two-storages", ("yesterday", f"'{then}'"), ("/srv/look", str(look)))
    assert "from disk" in told
    assert (look / str(tmp_path / "data")[1:] / "file").read_text() == "content"
    assert {storage for storage in ("vault", "disk") if f" {storage} " in told} == {"vault", "disk"}
    assert yaml.safe_load((here.operator.inventory / "apps/shop.yml").read_text())["storage"] == ["vault", "disk"]


def test_a_full_storage_is_pruned(lab: Lab, person: Person) -> None:
    person.operator.done("backup", "--app", "blog")
    before = person.operator.report()["blog", "files"]["archives"]
    told = person.follow("storage-full", ("verify", "verify --app blog"), ("prune", "prune --app blog --yes"))
    assert "blog" in told
    assert person.operator.report()["blog", "files"]["archives"] < before
    assert lab.apps["blog"].files.is_dir()
