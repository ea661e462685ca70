"""What the operator frees, checks and changes: told beforehand, recorded, and never mistaken for a theft."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
from tasks.borg import removal, verbs
from tasks.borg.client import archive_name
from tasks.borg.client.compact import Compacted, compact
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError, How, run
from tasks.errors import AppError, RefusedError
from tasks.records.ledger import BEGUN
from tasks.records.record import Record
from tasks.remote.secret import Secret
from tasks.report import accept
from tasks.run.view import Telling
from tasks.storage.repository import Repository
from tests.contract.support import size_of
from tests.integration.attack.support import QUICK, Scene
from tests.integration.fleet.support import Operator


def prune(scene: Scene, *, answer: bool = True, force: bool = False, quiet: bool = False) -> int:
    options = fleet_prune.Options(force=force, telling=Telling(quiet=quiet))
    return fleet_prune.run(str(scene.lab.inventory), options, lambda _: answer)


def records(scene: Scene) -> list[Path]:
    return sorted((scene.lab.box.home() / "cloudbackup/records/shop").iterdir())


def newest_record(scene: Scene, action: str) -> dict[str, object]:
    found = [path for path in records(scene) if f"-{action}" in path.name]
    values: dict[str, object] = json.loads(found[-1].read_text())
    return values


def test_a_prune_shows_what_goes_asks_and_says_what_it_freed(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left of unfinished archives goes as well, once it is a day old."""
    old, young = (f"{name}.checkpoint" for name in sorted(scene.before)[:2])
    scene.forge(old, f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%dT%H:%M:%S}")
    scene.forge(young, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
    middle = sorted(scene.before)[1]  # of one day: the newest stays, and the oldest until there are seven days
    assert prune(scene, answer=False) == 0
    assert scene.listed() == scene.before
    assert f"shop files: 2 archives kept, 1 to remove\n  {middle}\n  {old}\n" in capsys.readouterr().out
    before = size_of(scene.lab.box.home() / "cloudbackup/shop/data")
    assert prune(scene) == 0
    assert set(scene.before) - set(scene.listed()) == {middle}
    assert [each.name for each in archives(scene.opened.repository, how=QUICK).checkpoints] == [young]
    freed = re.search(r"2 removed, ([\d.]+) kB freed", capsys.readouterr().out)
    assert freed, "what only the middle one had of the file `new` is some 50 kB"
    after = size_of(scene.lab.box.home() / "cloudbackup/shop/data")
    assert float(freed[1]) * 1000 == pytest.approx(before - after, abs=5000)
    row = scene.row()
    assert (row.status, row.error, row.archives) == ("ok", None, 2)
    capsys.readouterr()
    assert prune(scene, quiet=True) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("patient")
def test_two_operators_at_once_are_no_thieves(scene: Scene) -> None:
    operator = Operator(scene.lab.inventory)
    runs = [operator.start(*words) for words in (("backup",), ("prune", "--yes"), ("prune", "--yes"), ("backup",))]
    ended = [(each.communicate(timeout=200)[0], each.returncode) for each in runs]
    assert [code for _, code in ended] == [0, 0, 0, 0], ended
    assert not any("looks wrong" in said for said, _ in ended), ended
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
    assert prune(scene) == 0
    assert scene.row().error is None


@pytest.mark.usefixtures("patient")
def test_a_prune_leaves_what_a_backup_beside_it_has_yet_to_read_back(scene: Scene) -> None:
    """The middle one of a day would go, but its backup has not written its record yet."""
    middle = sorted(scene.before)[1]
    own = next(path for path in records(scene) if middle in path.read_text())
    told = own.read_bytes()
    own.unlink()
    storage, named = scene.session.storage_of(scene.opened.app), archive_name.parse(middle)
    assert named
    storage.announce(scene.opened.app, Record("shop", BEGUN, named.time, "ok", "files", archive=middle))
    assert prune(scene) == 0
    assert scene.listed() == scene.before
    storage.withdraw(scene.opened.app, middle)
    own.write_bytes(told)
    assert prune(scene) == 0
    assert set(scene.before) - set(scene.listed()) == {middle}


@pytest.mark.parametrize("stolen", [False, True])
def test_a_prune_that_is_tried_again_looks_again(scene: Scene, monkeypatch: pytest.MonkeyPatch, stolen: bool) -> None:
    """The connection is lost between dropping archives and freeing their space; a thief may use the pause."""
    _, middle, newest = sorted(scene.before)
    calls = []

    def compact_lost_once(repository: Repository, how: How) -> Compacted:
        calls.append(1)
        if len(calls) > 1:
            return compact(repository, how)
        if stolen:
            run(scene.host, ("delete", f"::{newest}"), QUICK)
        raise AppError("the connection was lost", transient=True)

    monkeypatch.setattr(removal, "compact", compact_lost_once)
    assert prune(scene) == (5 if stolen else 0)
    assert len(calls) == (1 if stolen else 2)
    assert set(scene.listed()) == set(scene.before) - ({middle, newest} if stolen else {middle})


def test_force_is_recorded_and_only_acceptance_settles_what_was_doubted(scene: Scene) -> None:
    scene.forge("shop-files-2020-01-01T00-00-00", "2020-01-01T00:00:00")
    assert prune(scene) == 5
    assert prune(scene, force=True) == 0
    record = newest_record(scene, "prune-known")
    assert "no record tells of it" in str(record["details"])
    assert prune(scene) == 5
    options = accept.Options("shop", "it was made by hand")
    assert accept.run(str(scene.lab.inventory), options, lambda _: True) == 0
    assert prune(scene) == 0
    assert scene.row().error is None


def test_records_that_cannot_be_read_are_a_reason(scene: Scene) -> None:
    folder = scene.lab.box.home() / "cloudbackup/records/shop"
    (folder / "2099-01-01T00-00-00-backup-files-0000.json").write_text("{")
    with pytest.raises(RefusedError, match="cannot be read"):
        list(verbs.free_space(scene.opened, force=False, ask=lambda _: True))


def test_a_damaged_repository_is_a_failed_row_until_it_is_whole(scene: Scene) -> None:
    data = scene.lab.box.home() / "cloudbackup/shop/data"
    segment = max((path for path in data.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    options = fleet_check.Options()
    assert fleet_check.run(str(scene.lab.inventory), options) == 4
    row = scene.row()
    assert (row.status, "check failed" in (row.error or "")) == ("failed", True)
    segment.write_bytes(whole)
    assert fleet_check.run(str(scene.lab.inventory), options) == 0
    assert scene.row().status == "ok"


def test_another_passphrase_is_no_stolen_key(scene: Scene) -> None:
    escrow = scene.session.inventory.escrow / "box-shop.key"
    former = escrow.read_bytes()
    said = list(verbs.change_passphrase(scene.opened, Secret("quite another"), ask=lambda _: True))
    try:
        with pytest.raises(BorgError, match="passphrase"):
            archives(scene.opened.repository, how=QUICK)
        assert escrow.read_bytes() != former
        kept = Path(said[-1].rpartition(" ")[2])
        assert kept.read_bytes() == former
        assert "key was changed" not in (scene.row().error or "")
    finally:
        escrow.write_bytes(former)
