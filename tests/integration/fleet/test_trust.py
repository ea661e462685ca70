"""What is not to be trusted without a word: a repository that is not encrypted, an archive that nobody knows."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_choice import forge
from tests.integration.local import after_the_newest_archive, local_inventory, records

FORGED = "shop-files-2036-11-22T03-00-00"


@pytest.fixture
def fleet(tmp_path: Path) -> Operator:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    operator.done("borg.init", "--app", "shop")
    operator.done("backup", "--app", "shop")
    return operator


@pytest.fixture
def no_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without Landlock."""
    text = (Path(__file__).parents[3] / "tasks/remote/landlock.py").read_text()
    (tmp_path / "wall.py").write_text(f"{text}\n\ndef version():\n    return 0\n")
    monkeypatch.setattr("tasks.remote.landlock.__file__", str(tmp_path / "wall.py"))


@pytest.mark.parametrize("mode", ["none", "authenticated"])
def test_a_repository_that_is_not_encrypted_takes_no_backup(tmp_path: Path, mode: str) -> None:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    place = tmp_path / "storage" / "shop"
    environment = {**operator.environment(), "BORG_PASSPHRASE": (tmp_path / "secret").read_text().strip()}
    subprocess.run(
        ("borg", "init", f"--encryption={mode}", "--make-parent-dirs", str(place)), env=environment, check=True
    )
    init = operator.inv("borg.init", "--app", "shop")
    assert init.returncode == 3
    assert f"the repository is not encrypted ({mode})" in init.stderr
    first = operator.inv("backup", "--app", "shop")
    assert first.returncode == 4
    assert f"the repository is not encrypted ({mode}), and shop-files-" in first.stdout
    assert "move it away and run `inv borg.init --app" in first.stdout
    row = operator.report()["shop", "files"]
    assert row["status"] == "failed", row["error"]
    before = sorted(each.name for each in (place / "data").rglob("*"))
    again = operator.inv("backup", "--app", "shop")
    assert again.returncode == 4
    assert "so nothing was saved" in again.stdout
    assert sorted(each.name for each in (place / "data").rglob("*")) == before
    check = operator.inv("app.check", "--app", "shop")
    assert check.returncode == 4
    assert f"error    repository  the repository is not encrypted ({mode})" in check.stdout
    assert operator.inv("borg.create", "--app", "shop").returncode == 3
    place.rename(tmp_path / "away")
    operator.done("borg.init", "--app", "shop")
    assert "saved" in operator.inv("backup", "--app", "shop").stdout
    assert operator.report()["shop", "files"]["archives"] == 1


def test_an_unknown_archive_needs_a_wall_or_trust(fleet: Operator, tmp_path: Path, no_wall: None) -> None:
    forge(tmp_path, FORGED)
    words = ("restore", "--app", "shop", "--yes", "--archive", FORGED, "--target", str(tmp_path / "one"))
    end = fleet.inv(*words)
    assert end.returncode == 5
    assert "no record knows it, and the kernel has no wall (Landlock)" in end.stdout
    assert not (tmp_path / "one").exists()
    assert fleet.inv("borg.extract", *words[1:3], *words[4:]).returncode == 5
    assert fleet.inv(*words, "--trust-archive").returncode == 3
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "forged"
    fleet.inv("restore", "--app", "shop", "--target", str(tmp_path / "two"))
    assert (tmp_path / "two" / str(tmp_path / "data")[1:] / "file").read_text() == "content"
    details = [record.get("details", {}) for record in records(tmp_path, "restore")]
    assert [each["walls"] for each in details if "walls" in each] == [[], []]
    assert "without walls" in fleet.done("report.history", "--app", "shop", "--action", "restore")


def test_a_restore_records_its_wall(fleet: Operator, tmp_path: Path) -> None:
    fleet.done("restore", "--app", "shop", "--target", str(tmp_path / "one"))
    assert records(tmp_path, "restore")[-1]["details"]["walls"] == ["Landlock"]


def test_latest_of_borgs_verbs_is_one_that_a_record_knows(fleet: Operator, tmp_path: Path) -> None:
    mine = fleet.archives("shop")[0]
    forge(tmp_path, FORGED)
    end = fleet.inv("borg.extract", "--app", "shop", "--target", str(tmp_path / "one"))
    assert end.returncode == 0
    assert f"{FORGED} is newer, and no record knows it" in end.stdout
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "content"
    end = fleet.inv("borg.info", "--app", "shop", "--archive", "latest")
    assert mine in end.stdout
    assert FORGED in end.stderr
    assert FORGED in fleet.done("borg.info", "--app", "shop", "--archive", FORGED)


def test_an_incomplete_archive_of_borg_create_is_seen_by_report_and_prune(fleet: Operator, tmp_path: Path) -> None:
    def lack(app: dict[str, Any]) -> None:
        app["files"] = {"paths": [str(tmp_path / "data"), str(tmp_path / "gone")]}

    whole = fleet.archives("shop")[0]
    fleet.change("apps/shop.yml", lack)
    fleet.change("cloudbackup.yml", lambda main: main.update(defaults={"keep": {"last": 1}}))
    after_the_newest_archive(tmp_path)
    assert fleet.inv("borg.create", "--app", "shop").returncode == 3
    row = fleet.report()["shop", "files"]
    assert (row["status"], row["incomplete"]["count"]) == ("incomplete", 1)
    end = fleet.inv("prune", "--app", "shop", "--yes")
    assert end.returncode == 5, json.dumps([end.stdout, end.stderr])
    assert whole in fleet.archives("shop")


def test_links_of_an_unknown_archive_choose_nothing_to_replace(fleet: Operator, tmp_path: Path) -> None:
    """The app's own path is a link in it, and what it leads to would take the place of a person's own folder."""
    home, data, kept = tmp_path / "home", tmp_path / "data", tmp_path / "kept"
    home.mkdir()
    data.rename(kept)
    data.symlink_to(home)
    (home / "authorized_keys").write_text("a thief's")
    repository = next((tmp_path / "storage").rglob("shop/config")).parent
    subprocess.run(
        ("borg", "create", f"{repository}::{FORGED}", str(data), str(home)),
        env={**fleet.environment(), "BORG_PASSPHRASE": (tmp_path / "secret").read_text().strip()},
        check=True, capture_output=True,
    )  # fmt: skip
    (home / "authorized_keys").write_text("mine")
    for part in ((), ("--path", f"{data}/authorized_keys")):
        end = fleet.inv("restore", "--app", "shop", "--archive", FORGED, "--yes", *part)
        assert end.returncode in (4, 5), end.stdout
        assert f"links in it lead to {home}" in end.stdout, (part, end.stdout)
        assert (home / "authorized_keys").read_text() == "mine"
    end = fleet.inv("restore", "--app", "shop", "--archive", FORGED, "--yes", "--trust-archive")
    assert (home / "authorized_keys").read_text() == "a thief's", end.stdout
