"""What goes wrong is told in one sentence, and leaves nothing behind."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.borg.client.create import StreamOptions, create
from tasks.borg.client.list import archives
from tasks.errors import AppError, CloudbackupError
from tasks.records.record import Record
from tasks.remote.secret import Secret
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.contract.bench import LONG_AGO, Bench, Sides
from tests.contract.kinds import every_kind, kinds_with
from tests.contract.support import QUICK, endless, eventually, is_told, size_of


def fault(action: Callable[[], object]) -> AppError:
    """Return the fault of an action that must have one."""
    with pytest.raises(AppError) as caught:
        action()
    assert is_told(caught.value), caught.value
    return caught.value


@every_kind
def test_a_wrong_passphrase_is_told(shop: Sides) -> None:
    wrong = replace(shop.host, environment={**shop.host.environment, "BORG_PASSPHRASE": Secret("wrong")})
    assert "the passphrase is wrong" in fault(lambda: archives(wrong, how=QUICK)).what


@kinds_with("keys")
def test_an_operators_key_that_is_not_admitted_is_told(bench: Bench, tmp_path: Path) -> None:
    stranger = bench.lab.box.paths.other_host_key
    inventory = bench.variant(
        tmp_path / "inventory", "cloudbackup.yml", lambda values: values["storages"]["store"].update(key=str(stranger))
    )
    with Session(load(inventory)) as session:
        shop = Sides(session, session.inventory.app("shop"))
        assert "the storage refuses the key" in fault(shop.listed).what
        assert "login was refused" in fault(lambda: shop.storage.read_records(shop.app)).what
        assert "login was refused" in fault(lambda: shop.storage.usage((shop.app,))).what


@kinds_with("keys")
def test_a_host_that_was_never_set_up_is_told(bench: Bench, tmp_path: Path) -> None:
    inventory = bench.variant(tmp_path / "inventory", "cloudbackup.yml", lambda _: None)
    (inventory / "apps/newcomer.yml").write_bytes((inventory / "apps/blog.yml").read_bytes())
    with Session(load(inventory)) as session:
        error = fault(Sides(session, session.inventory.app("newcomer")).save)
        assert "the storage refuses the key" in error.what
        assert "storagebox.setup" in error.remedy


@every_kind
def test_a_storage_out_of_reach_is_told_and_nothing_is_made_in_its_place(bench: Bench, shop: Sides) -> None:
    before = shop.ids()
    with bench.alone("shop") as alone:
        record = Record("shop", "backup", LONG_AGO, "failed")
        with bench.place.away():
            fault(alone.save)
            fault(alone.listed)
            fault(lambda: alone.storage.usage((alone.app,)))
            fault(lambda: alone.storage.write_record(alone.app, record))
            fault(lambda: alone.storage.read_records(alone.app))
    assert bench.sides("shop").ids() == before


@every_kind
def test_a_full_storage_is_told_and_takes_backups_again_later(bench: Bench, shop: Sides) -> None:
    before = shop.ids()
    more = bench.app("shop").files / "more.bin"
    more.write_bytes(os.urandom(1_000_000))
    with bench.place.full():
        error = fault(shop.save)
    assert "full" in error.what
    assert error.remedy
    made = shop.save()
    assert made.warnings == ()
    assert shop.ids() == [*before, made.id]
    more.unlink()


@kinds_with("full once")
def test_a_storage_that_was_full_for_a_moment_holds_no_archive_with_a_hole(bench: Bench, shop: Sides) -> None:
    before = shop.ids()
    more = bench.app("shop").files / "more.bin"
    more.write_bytes(os.urandom(1_000_000))
    bench.place.full_once()
    error = fault(shop.save)
    more.unlink()
    assert "full" in error.what
    assert not bench.place.site.full_flag.exists()
    assert shop.ids() == before


@every_kind
def test_a_connection_lost_in_the_middle_leaves_no_archive(bench: Bench, shop: Sides, tmp_path: Path) -> None:
    before, folder = shop.ids(), bench.repository("shop")
    errors: list[CloudbackupError] = []

    def save(sides: Sides) -> None:
        try:
            create(sides.host, StreamOptions(sides.name("mariadb"), endless(tmp_path / "over"), "dump"), QUICK)
        except CloudbackupError as error:
            errors.append(error)

    with bench.alone("shop") as alone:
        size = size_of(folder)
        running = threading.Thread(target=save, args=[alone])
        running.start()
        assert eventually(lambda: size_of(folder) > size + 1_000_000)
        bench.place.cut()
        running.join(60)
        assert not running.is_alive()
        assert len(errors) == 1
    shop = bench.sides("shop")
    made = shop.save()
    assert shop.ids() == [*before, made.id]
