"""How many files of an archive the next one lacks, asked of real borg."""

import shutil
from pathlib import Path

import pytest

import tasks.borg.gone as borg_gone
import tasks.fleet.backup as fleet_backup
from tasks.borg import apps as borg_apps
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.gone import gone
from tasks.borg.verbs import initialise
from tasks.errors import AppError
from tasks.records.gone import Gone
from tasks.storage.repository import Repository
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
    create(repository, FilesOptions("one", [str(shop)]))
    shutil.rmtree(shop / "0")  # 40 of 120
    (shop / "1").rename(shop / "renamed")
    (shop / "2" / "2.txt").write_text("changed and longer")
    for number in range(30):
        (shop / f"new {number}").write_text("y" * 99)
    create(repository, FilesOptions("two", [str(shop)]))

    found = gone(repository, "one", "two", 120)

    assert found.of == 120
    assert found.count == 40 if held > 120 else 15 <= found.count <= 65
    assert gone(repository, "one", "one", 120) == Gone(0, 120)


def test_a_disk_without_room_for_the_list_is_named(
    repository: Repository, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(repository, FilesOptions("one", [str(shop)]))
    monkeypatch.setattr("tasks.borg.client.spool.tempfile.TemporaryFile", lambda *_, **__: open("/dev/full", "w+b"))  # noqa: PTH123, SIM115
    with pytest.raises(AppError, match=r"cannot keep borg's list in /.*: No space left"):
        gone(repository, "one", "one", 120)


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
    assert (newest["outcome"], newest["details"]["gone"]) == ("suspect", {"count": 20, "of": 41})
    for number, file in enumerate(old[:20]):  # they are back, elsewhere
        (data / "back").mkdir(exist_ok=True)
        (data / "back" / file.name).write_text(f"{old[number]} " * 50)
    after_the_newest_archive(tmp_path)
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
