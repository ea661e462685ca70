"""A storage that was put back to a snapshot from outside: what is printed leads back to work, and only with its records."""

import re
import shutil
from pathlib import Path

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.local import after_the_newest_archive, local_inventory

OLDER = "is older than what this machine saw last"


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """An app whose storage has a snapshot after its first backup, and two backups after it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    inventory = local_inventory(tmp_path, tmp_path / "fault")
    (inventory / "apps/new.yml").unlink()
    operator = Operator(inventory)
    operator.done("borg.init")
    operator.done("backup")
    shutil.copytree(tmp_path / "storage", tmp_path / "snapshot")
    for name in ("second", "third"):
        after_the_newest_archive(tmp_path)
        (tmp_path / "data" / name).write_text(name)
        operator.done("backup")
    return operator


def put_back(folder: Path, *, records: bool) -> None:
    shutil.rmtree(folder / "storage" / "shop")
    if records:
        shutil.rmtree(folder / "storage")
    shutil.copytree(folder / "snapshot", folder / "storage", dirs_exist_ok=True)


def test_what_is_printed_leads_back_to_work(operator: Operator, tmp_path: Path) -> None:
    put_back(tmp_path, records=True)
    failed = operator.inv("backup")
    assert failed.returncode == 4
    assert OLDER in failed.stdout
    remedy = re.search(r"`inv (borg\.confirm-address[^`]*)`", failed.stdout)
    assert remedy is not None, failed.stdout
    assert "confirmed on this machine" in operator.done(*remedy[1].split(), "--yes")
    operator.done("backup")
    operator.done("borg.check", "--app", "shop")
    operator.done("restore", "--app", "shop", "--target", str(tmp_path / "restored"))
    restored = {path.name: path.read_text() for path in (tmp_path / "restored").rglob("*") if path.is_file()}
    assert restored == {"file": "content", "second": "second", "third": "third"}
    assert [row["archives"] for row in operator.report().values()] == [2]


def test_a_repository_that_lacks_recorded_archives_is_not_confirmed(operator: Operator, tmp_path: Path) -> None:
    put_back(tmp_path, records=False)
    assert operator.inv("backup").returncode == 4
    refused = operator.inv("borg.confirm-address", "--app", "shop", "--yes")
    assert refused.returncode == 5
    assert "were recorded, and are not in the repository" in refused.stderr
    assert "put the folder `records` beside it back" in refused.stderr
    assert operator.inv("backup").returncode == 4
