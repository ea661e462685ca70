"""Saved, listed, restored: the same on every kind of storage."""

from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.restore as fleet_restore
from lab import tree
from tasks.borg.client.init import init_words
from tasks.borg.client.runner import BorgError, run
from tasks.storage.repository import Side
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import every_kind
from tests.contract.place import Values
from tests.contract.support import QUICK

YES = lambda _: True  # noqa: E731


@every_kind
def test_directory_and_repository_are_made_once(bench: Bench) -> None:
    fresh = bench.sides("fresh")
    assert bench.make(fresh)
    assert (bench.repository("fresh") / "config").is_file()
    assert (bench.escrow / "store-fresh.key").is_file()
    fresh.storage.make_directory(fresh.app)
    with pytest.raises(BorgError, match="there is already a repository"):
        run(fresh.operator, init_words(), QUICK)


@every_kind
def test_a_backup_from_the_host_is_listed_by_both_sides(bench: Bench, shop: Sides) -> None:
    made = shop.save()
    assert made.warnings == ()
    seen = {archive.name: archive.id for archive in shop.listed(Side.OPERATOR)}
    assert seen[made.archive] == made.id
    assert {archive.name: archive.id for archive in shop.listed(Side.HOST)} == seen


@every_kind
def test_the_host_restores_what_it_saved(bench: Bench, tmp_path: Path) -> None:
    options = fleet_restore.Options("shop", archive=bench.first, target=str(tmp_path / "restored"))
    assert fleet_restore.run(str(bench.inventory), options, YES) == 0
    assert restored(bench, tmp_path / "restored") == []


@every_kind
def test_the_operator_restores_when_the_host_is_gone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = bench.first
    monkeypatch.setenv("BORG_BASE_DIR", str(tmp_path / "borg"))  # where borg must not be asked of a developer's home
    inventory = bench.variant(tmp_path / "inventory", "apps/shop.yml", bench.place.host_gone)
    options = fleet_restore.Options("shop", archive=archive, target=str(tmp_path / "restored"), to="local")
    assert fleet_restore.run(str(inventory), options, YES) == 0
    assert restored(bench, tmp_path / "restored") == []


def restored(bench: Bench, target: Path) -> list[str]:
    """Return how the restored files of shop differ from those on the host."""
    files = target / str(bench.app("shop").files).lstrip("/")
    return tree.differences(bench.fingerprint("shop"), tree.fingerprint(files, excluding_caches=True))


@every_kind
def test_two_apps_are_saved_at_once(bench: Bench, tmp_path: Path) -> None:
    def meets(other: str) -> list[str]:
        wait = 'touch "$0"; for _ in $(seq 200); do test -e "$1" && exit 0; sleep 0.1; done; exit 1'
        return ["sh", "-c", wait, str(tmp_path / ("shop" if other == "blog" else "blog")), str(tmp_path / other)]

    inventory = tmp_path / "inventory"
    for app, other in (("shop", "blog"), ("blog", "shop")):

        def wait_for_the_other(values: Values, other: str = other) -> None:
            values["before"] = [meets(other)]

        bench.variant(inventory, f"apps/{app}.yml", wait_for_the_other)
    assert fleet_backup.run(str(inventory), fleet_backup.Options(apps=["shop", "blog"], parallel=2)) == 0
    for app in ("shop", "blog"):
        sides = bench.sides(app)
        record = sides.storage.read_records(sides.app).newest("backup", "files")
        assert record is not None
        assert record.outcome == "ok"
        assert record.archive_id in (record.archive_ids or ())
