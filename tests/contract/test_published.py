"""Storages that are published to: what is checked beforehand, and who is let in."""

import os
from pathlib import Path

import pytest

import tasks.fleet.verify as fleet_verify
from lab import slow_down
from lab.plan import MAIN_ACCOUNT
from tasks.app import add
from tasks.app.checks import checks
from tasks.app.new_app import NewApp
from tasks.borg.client.list import archives
from tasks.report.gather import gather
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import KINDS, Bucket, Staged
from tests.contract.place import Values
from tests.contract.support import QUICK
from tests.contract.test_faults import fault

published = pytest.mark.parametrize("bench", [kind for kind in KINDS if issubclass(KINDS[kind], Staged)], indirect=True)


@published
def test_a_check_looks_at_rclone_and_tells_what_protects(bench: Bench, shop: Sides) -> None:
    found = {check.name: check for check in checks(shop.session, shop.app) if check.name in ("rclone", "python3")}
    assert {check.level for check in found.values()} == {"ok"}
    assert len(found) == 2
    assert shop.storage.remark() == "not protected from its hosts"


@published
def test_a_drill_on_the_host_proves_the_published_copy(bench: Bench, shop: Sides) -> None:
    def drilled() -> int:
        return fleet_verify.run(str(bench.inventory), fleet_verify.Options(apps=["shop"], sample=None))

    def flip(file: Path) -> None:
        data = file.read_bytes()
        file.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])

    assert bench.first
    data = bench.repository("shop") / "data"
    data.rename(data.with_name("aside"))
    try:
        assert drilled() == 0  # though the host's own repository gives nothing
    finally:
        data.with_name("aside").rename(data)
    segments = (bench.place.stored / "shop/data").rglob("*")
    largest = max((path for path in segments if path.is_file()), key=lambda path: path.stat().st_size)
    flip(largest)
    assert drilled() == 4  # though the host's own repository is whole
    flip(largest)
    assert not list((bench.place.folder / ".cloudbackup/shop").glob("drill-*"))


# Over SFTP rclone waited more than 300 s for an answer, once of several runs on a busy machine.
@pytest.mark.parametrize("bench", ["s3"], indirect=True)
def test_a_publishing_that_ends_in_the_middle_leaves_the_copy_as_it_was(bench: Bench, shop: Sides) -> None:
    before = shop.ids()
    more = bench.app("shop").files / "more.bin"
    more.write_bytes(os.urandom(1_000_000))
    assert isinstance(bench.place, Staged)
    with bench.place.no_large_files(300_000):
        told = fault(shop.save)
        assert told.what.startswith("shop: the published copy: rclone: ")
        assert "not published yet" in fault(shop.listed).what
    more.unlink()
    assert published_ids(shop) == before
    made = shop.save()
    assert shop.ids()[: len(before)] == before
    assert shop.ids()[-1] == made.id
    assert len(shop.ids()) == len(before) + 2  # what was not sent then comes first


@pytest.mark.parametrize("bench", ["s3"], indirect=True)
def test_a_bucket_that_asks_to_slow_down_is_obeyed_or_told(bench: Bench, shop: Sides, tmp_path: Path) -> None:
    before = shop.ids()
    assert isinstance(bench.place, Bucket)
    with slow_down.before(bench.place.server, every=3) as proxy:

        def by_proxy(values: Values) -> None:
            values["storages"]["store"]["endpoint"] = proxy.endpoint

        with Session(load(bench.variant(tmp_path / "inventory", "cloudbackup.yml", by_proxy))) as session:
            slow = Sides(session, session.inventory.app("shop"))
            made = slow.save()
            assert proxy.refused > 0
            assert published_ids(shop) == [*before, made.id]
            proxy.every, proxy.methods = 1, ("PUT",)
            told = fault(slow.save)
            assert (told.transient, "SlowDown" in told.what) == (True, True)
            assert published_ids(shop) == [*before, made.id]
            proxy.every = 0
            last = slow.save()
    assert published_ids(shop)[: len(before) + 1] == [*before, made.id]
    assert published_ids(shop)[-1] == last.id


def published_ids(shop: Sides) -> list[str]:
    """Return the archives of the published copy, without a look at the host."""
    return [archive.id for archive in archives(shop.session.without_host(shop.app), how=QUICK).archives]


@pytest.mark.parametrize("bench", ["s3"], indirect=True)
def test_an_app_is_added_proven_and_mended(bench: Bench) -> None:
    wanted, said = NewApp("fresh"), list[str]()
    add.run(str(bench.inventory), wanted, lambda *_: False, said.append)
    key = bench.escrow / "store-fresh.key"
    whole = key.read_bytes()
    key.unlink()
    add.run(str(bench.inventory), wanted, lambda *_: False, said.append)
    assert key.read_bytes() == whole
    with bench.session() as session:
        rows = gather(session, [session.inventory.app("fresh")]).apps
    assert [(row.status, row.error, row.archives, row.proven is None) for row in rows] == [("ok", None, 1, False)]


@pytest.mark.parametrize("bench", ["s3"], indirect=True)
def test_a_wrong_key_of_a_bucket_is_told(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("no such secret, at all")

    def wrong(values: Values) -> None:
        values["storages"]["store"]["secret_key"] = {"file": str(tmp_path / "wrong")}

    inventory = bench.variant(tmp_path / "inventory", "cloudbackup.yml", wrong)
    with Session(load(inventory)) as session:
        shop = Sides(session, session.inventory.app("shop"))
        for act in (shop.listed, shop.save, lambda: shop.storage.read_records(shop.app)):
            assert "SignatureDoesNotMatch" in fault(act).what


@pytest.mark.parametrize("bench", ["sftp"], indirect=True)
def test_an_sftp_account_may_have_a_password(bench: Bench, tmp_path: Path) -> None:
    box = bench.lab.box
    (tmp_path / "password").write_text(box.account().password)
    own = {"host": "127.0.0.1", "port": box.port, "user": MAIN_ACCOUNT, "host_key": box.host_key}

    def with_password(values: Values) -> None:
        values["storages"]["store"].update(own, password={"file": str(tmp_path / "password")}, directory="elsewhere")

    inventory = bench.variant(tmp_path / "inventory", "cloudbackup.yml", with_password)
    with Session(load(inventory)) as session:
        storage = session.storage("store")
        app = session.inventory.app("shop")
        storage.make_directory(app)
        storage.files(app).write_new("elsewhere/file", b"content")
        assert (box.home() / "elsewhere/file").read_bytes() == b"content"
    (tmp_path / "password").write_text("another")
    with Session(load(inventory)) as session:
        shop = Sides(session, session.inventory.app("shop"))
        for act in (shop.listed, shop.save, lambda: shop.storage.read_records(shop.app)):
            assert "unable to authenticate" in fault(act).what
