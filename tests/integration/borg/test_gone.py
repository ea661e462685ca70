"""How many files of an archive the next one lacks, asked of real borg."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tasks.borg.gone as borg_gone
import tasks.fleet.backup as fleet_backup
from tasks.borg import apps as borg_apps
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.gone import gone
from tasks.borg.verbs import initialise
from tasks.errors import AppError
from tasks.records.gone import Loss
from tasks.storage.repository import Repository
from tests.integration.fleet.support import eventually
from tests.integration.local import after_the_newest_archive, local_inventory, records


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    for number in range(60):
        place = folder / f"{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text("x" * number)
        (place / f"empty {number} \udce9").touch()
    return folder


@pytest.fixture(params=[50_000, 40])  # all of the paths, or every third
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    number = int(request.param)
    monkeypatch.setattr(borg_gone, "HELD", number)
    return number


def test_gone_is_what_is_nowhere_in_the_later_archive(repository: Repository, shop: Path, held: int) -> None:
    began = datetime.now(UTC)
    changed = shop / "0" / "3.txt"
    assert eventually(lambda: changed.write_text("young") == 5 and changed.stat().st_ctime > began.timestamp() + 0.1)
    create(repository, FilesOptions("one", [str(shop)]))
    shutil.rmtree(shop / "0")  # 40 of 120
    (shop / "1").rename(shop / "renamed")
    (shop / "2" / "2.txt").write_text("changed and longer")
    for number in range(30):
        (shop / f"new {number}").write_text("y" * 99)
    create(repository, FilesOptions("two", [str(shop)]))

    found = gone(repository, "one", "two", 120, began + timedelta(seconds=0.1))

    assert found.all.of == 120
    assert found.all.count == 40 if held > 120 else 15 <= found.all.count <= 65
    if held > 120:
        size = sum(number for number in range(60))
        lost = sum(range(0, 60, 3))
        assert found.all == Loss(40, 120, lost + 2, size + 2)
        assert found.settled == Loss(39, 119, lost - 3, size - 3)
    same = gone(repository, "one", "one", 120, began)
    assert (same.all.count, same.settled.count) == (0, 0)


def test_a_disk_without_room_for_the_list_is_named(
    repository: Repository, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(repository, FilesOptions("one", [str(shop)]))
    monkeypatch.setattr("tasks.borg.client.spool.tempfile.TemporaryFile", lambda *_, **__: open("/dev/full", "w+b"))  # noqa: PTH123, SIM115
    with pytest.raises(AppError, match=r"cannot keep borg's list in /.*: No space left"):
        gone(repository, "one", "one", 120, datetime.now(UTC))


def test_half_of_the_files_gone_beside_new_ones_is_suspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = local_inventory(tmp_path, tmp_path / "no fault")
    (place / "apps/new.yml").unlink()
    data = tmp_path / "data"
    old = [data / f"old {number}.txt" for number in range(40)]
    for file in old:
        file.write_text(f"{file} " * 50)
    borg_apps.each(str(place), (), initialise)
    for _ in range(7):
        assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
        after_the_newest_archive(tmp_path)
    for file in old[:20]:
        file.unlink()
    for number in range(13):
        (data / f"imported {number}.txt").write_text(f"{number} " * 120)
    capsys.readouterr()

    assert fleet_backup.run(str(place), fleet_backup.Options()) == 3

    assert "20 of the 41 files of the backup before are gone" in capsys.readouterr().out
    newest = records(tmp_path, "backup")[-1]
    assert newest["outcome"] == "suspect"
    assert newest["details"]["gone"].items() >= {"count": 20, "of": 41}.items()
    assert newest["details"]["gone"]["settled"]["of"] == 0  # nothing is a month old
    for number, file in enumerate(old[:20]):  # they are back, elsewhere
        (data / "back").mkdir(exist_ok=True)
        (data / "back" / file.name).write_text(f"{old[number]} " * 50)
    after_the_newest_archive(tmp_path)
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0


def test_another_folder_in_its_place_is_suspect_until_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many files, as large, of the same kind: only their names differ."""
    place = local_inventory(tmp_path, tmp_path / "no fault")
    (place / "apps/new.yml").unlink()
    data, other = tmp_path / "data", tmp_path / "other"
    other.mkdir()
    for number in range(40):
        (data / f"order {number}.txt").write_text(f"{os.urandom(2000).hex()}{' ' * 6000}")
        (other / f"invoice {number}.txt").write_text(f"{os.urandom(2000).hex()}{' ' * 6000}")
    borg_apps.each(str(place), (), initialise)
    for _ in range(4):
        assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
        after_the_newest_archive(tmp_path)
    data.rename(tmp_path / "orders")
    other.rename(data)
    for _ in range(2):
        capsys.readouterr()
        assert fleet_backup.run(str(place), fleet_backup.Options()) == 3
        said = "41 of the 41 files of the backup before are gone, and as many others came"
        assert said in " ".join(capsys.readouterr().out.split())
        after_the_newest_archive(tmp_path)
    data.rename(other)
    (tmp_path / "orders").rename(data)
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0


def test_half_of_what_had_not_changed_is_suspect_from_the_second_night_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month has passed at once here: no test can make a file's ctime old."""
    place = local_inventory(tmp_path, tmp_path / "no fault")
    (place / "apps/new.yml").unlink()
    for number in range(4):
        (tmp_path / "data" / f"{number}.txt").write_text(f"{number} " * 50)
    borg_apps.each(str(place), (), initialise)
    monkeypatch.setattr("tasks.fleet.recorder.SETTLED", timedelta(0))
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
    after_the_newest_archive(tmp_path)
    for number in range(3):
        (tmp_path / "data" / f"{number}.txt").unlink()
    capsys.readouterr()

    assert fleet_backup.run(str(place), fleet_backup.Options()) == 3

    said = "3 of the 5 files that had not changed for 30 days are gone, and of all 3 of 5"
    assert said in " ".join(capsys.readouterr().out.split())
