"""An app in several storages: each has an archive of its own, and one that is away does not stop the other."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

import tasks.fleet.backup as fleet_backup
import tasks.fleet.restore as fleet_restore
from tasks.app import add, check
from tasks.app.new_app import NewApp
from tasks.borg.client.init import init
from tasks.errors import UsageError
from tasks.records.record import HISTORY, NEWEST, Record
from tasks.report import page
from tasks.report.formats import Look
from tasks.report.gather import gather
from tasks.report.rows import Report
from tasks.report.table import write
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tests.integration.fleet.support import Operator
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


def report(inventory: Path, newest: int = NEWEST) -> Report:
    with Session(load(inventory)) as session:
        return gather(session, session.inventory.select(), newest=newest)


def restored(inventory: Path, folder: Path, storage: str | None = None) -> int:
    options = fleet_restore.Options("shop", target=str(folder), storage=storage)
    return fleet_restore.run(str(inventory), options, lambda _: True)


def test_each_storage_has_an_archive_and_a_row(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet_backup.run(str(inventory), fleet_backup.Options()) == 0
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


def test_the_copy_of_each_key_is_judged_by_itself(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not only that it is there: by its form, by the repository's id, by the key that the repository has now."""
    keys = inventory.parent / "escrow"
    good = {name: (keys / f"{name}-shop.key").read_bytes() for name in ("near", "far")}
    head, body = good["far"].split(b"\n", 1)
    other = head + b"\n" + body.replace(body[100:104], body[100:104][::-1])
    cases = [(None, "no copy"), (b"", "holds no key"), (good["near"], "another repository"), (other, "has now")]
    far = keys / "far-shop.key"
    for copy, told in cases:
        far.unlink(missing_ok=True)
        if copy is not None:
            far.write_bytes(copy)
        shown = report(inventory)
        assert [told in (row.error or "") for row in shown.apps] == [False, True], (told, shown.apps)
        assert shown.escrowed == {("near", "shop"): True, ("far", "shop"): False}
    # `app.check` holds it against a fresh export, and says of which copy it speaks.
    assert check.run(str(inventory), ()) == 3
    lines = [line.split()[:5] for line in capsys.readouterr().out.splitlines() if " key " in line]
    assert lines == [["shop", "on", "near", "ok", "key"], ["shop", "on", "far", "error", "key"]]
    keys.rename(keys.with_name("lost"))
    assert ["no copy of any" in (each.error or "") for each in report(inventory).storages] == [True, True]
    keys.with_name("lost").rename(keys)
    far.write_bytes(good["far"])
    assert [row.error for row in report(inventory).apps] == [None, None]


def test_a_storage_that_is_away_does_not_stop_the_other(
    inventory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with away(inventory, "near"):
        assert fleet_backup.run(str(inventory), fleet_backup.Options()) == 3
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


def test_what_is_of_one_repository_asks_which(inventory: Path) -> None:
    """The same number of a transaction is another state in another repository."""
    operator = Operator(inventory)
    for words in (("borg.rollback", "--to=1", "--yes"), ("borg.delete", "--archive=x", "--yes")):
        end = operator.inv(*words, "--app=shop")
        assert (end.returncode, "in near and far" in end.stderr, "by --storage" in end.stderr) == (2, True, True)
    (newest, *_) = sorted(operator.archives("shop"), reverse=True)
    assert "go back there" in operator.inv("borg.rollback", "--app=shop", "--storage=far", "--to=9999").stderr
    end = operator.inv("borg.delete", "--app=shop", "--storage=far", f"--archive={newest}")
    assert "Delete these archives of shop on far?" in end.stderr + end.stdout
    assert operator.done("borg.list").splitlines()[0] == "shop on near:"


def test_what_a_storage_grows_by_is_of_its_own_copy(inventory: Path) -> None:
    now = datetime.now(UTC)
    with Session(load(inventory)) as session:
        for copy in session.inventory.select():
            for days, stored in ((4, 10), (1, 1_000_000)):
                record = Record("shop", "backup", now - timedelta(days=days), "ok", "files", stored=stored)
                session.storage_of(copy).write_record(copy, record)
    assert report(inventory).growth == pytest.approx({"near": 250_000, "far": 250_000}, rel=0.02)


def test_the_history_of_each_copy_is_its_own(inventory: Path) -> None:
    """A record does not say in which storage it lies."""
    long_ago = datetime.now(UTC) - timedelta(days=20)
    with Session(load(inventory)) as session:
        far = session.inventory.copies("shop", "far")[0]
        record = Record("shop", "backup", long_ago, "failed", "files", error="it was full")
        session.storage_of(far).write_record(far, record)
    drawn = page.write(report(inventory, HISTORY), Look())
    repositories = dict(re.findall(r"<h3>(\w+)</h3>(.*?)(?=<h3>|</details>)", drawn, flags=re.DOTALL))
    assert {name: "it was full" in text for name, text in repositories.items()} == {"near": False, "far": True}
    operator = Operator(inventory)
    lines = operator.done("report.history", "--app=shop", "--limit=99").splitlines()
    (told,) = (number for number, line in enumerate(lines) if "it was full" in line)
    assert "shop on far " in lines[told - 1]
    assert any("shop on near " in line for line in lines)
    printed = operator.done("report.history", "--storage=near", "--limit=99")
    assert ["shop on near" in printed, "shop on far" in printed, "it was full" in printed] == [True, False, False]
    end = operator.inv("report.history", "--storage=fra")
    assert (end.returncode, "none of these apps is in the storage `fra`; did you mean far" in end.stderr) == (2, True)


def test_adding_mends_every_copy(inventory: Path) -> None:
    """A storage that is new in the app's file, and a key's copy that was lost, of another one."""
    names = {name: {"kind": "local", "directory": str(inventory.parent / name)} for name in ("near", "far", "third")}
    change(inventory / "cloudbackup.yml", "storages", names)
    change(inventory / "apps/shop.yml", "storage", ["near", "far", "third"])
    (inventory.parent / "escrow/far-shop.key").unlink()
    said: list[str] = []
    add.run(str(inventory), NewApp("shop"), lambda *_: False, said.append)
    made = [line for line in said if " made (" in line]
    assert [line.startswith(f"shop: repository {inventory.parent}/third/shop made") for line in made] == [True]
    rows = report(inventory).apps
    assert [(row.storage, row.status, row.error, row.proven is None) for row in rows] == [
        (name, "ok", None, False) for name in names
    ]
