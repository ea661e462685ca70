"""An app in several storages: each has an archive of its own, and one that is away does not stop the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tasks.borg.init import init
from tasks.errors import UsageError
from tasks.fleet import restoring, saving
from tasks.inventory import load
from tasks.report.formats import Look
from tasks.report.gather import gather
from tasks.report.rows import Report
from tasks.report.table import write
from tasks.storage.repository import Side
from tasks.storage.session import Session
from tests.integration.local import local_inventory


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an inventory whose one app has two directories, both ready."""
    folder = tmp_path_factory.mktemp("copies")
    inventory = local_inventory(folder, folder / "fault")
    (inventory / "apps/new.yml").unlink()
    change(
        inventory / "cloudbackup.yml",
        "storages",
        {name: {"kind": "local", "directory": str(folder / name)} for name in ("near", "far")},
    )
    change(inventory / "apps/shop.yml", "storage", ["near", "far"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BORG_BASE_DIR", str(folder / "borg"))
        with Session(load(inventory)) as session:
            for copy in session.inventory.select():
                session.storage_of(copy).make_directory(copy)
                init(session.repository(copy, Side.OPERATOR), session.inventory.escrow)
        yield inventory


def change(file: Path, key: str, value: object) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), key: value}))


@contextmanager
def away(inventory: Path, storage: str) -> Iterator[None]:
    place = inventory.parent / storage
    place.rename(place.with_name("away"))
    try:
        yield
    finally:
        place.with_name("away").rename(place)


def report(inventory: Path) -> Report:
    with Session(load(inventory)) as session:
        return gather(session, session.inventory.select())


def restored(inventory: Path, folder: Path, storage: str | None = None) -> int:
    options = restoring.Options("shop", target=str(folder), storage=storage)
    return restoring.run(str(inventory), options, lambda _: True)


def test_each_storage_has_an_archive_and_a_row(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert saving.run(str(inventory), saving.Options()) == 0
    printed = capsys.readouterr().out
    assert ["shop on near  files  ok" in printed, "shop on far   files  ok" in printed] == [True, True]
    shown = report(inventory)
    assert [(row.app, row.storage, row.status, row.archives) for row in shown.apps] == [
        ("shop", "near", "ok", 1),
        ("shop", "far", "ok", 1),
    ]
    assert len({row.archive for row in shown.apps} | {row.size for row in shown.apps}) >= 2
    assert write(shown, Look()).split()[:4] == ["app", "source", "status", "storage"]
    assert sorted(path.name for path in (inventory.parent / "escrow").glob("*.key")) == [
        "far-shop.key",
        "near-shop.key",
    ]


def test_a_storage_that_is_away_does_not_stop_the_other(
    inventory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with away(inventory, "near"):
        assert saving.run(str(inventory), saving.Options()) == 3
        assert [row.status for row in report(inventory).apps] == ["unknown", "ok"]
        assert restored(inventory, tmp_path / "first") == 0
        assert "from far" in capsys.readouterr().out
    assert [row.archives for row in report(inventory).apps] == [1, 2]
    data = inventory.parent / "data/file"
    assert (tmp_path / "first" / str(data).lstrip("/")).read_text() == data.read_text()


def test_a_restore_takes_the_named_copy(inventory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restored(inventory, tmp_path / "far", "far") == 0
    assert "from far" in capsys.readouterr().out
    with pytest.raises(UsageError, match="shop is not in the storage `fra`; did you mean far"):
        restored(inventory, tmp_path / "fra", "fra")


def test_parts_keep_copies_together(inventory: Path) -> None:
    assert [copy.storage for copy in load(inventory).select((), "1/1")] == ["near", "far"]
