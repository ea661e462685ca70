"""Storages that are published to: what is checked beforehand, and who is let in."""

from pathlib import Path

import pytest

from tasks.app.checks import checks
from tasks.inventory import load
from tasks.lab.plan import MAIN_ACCOUNT
from tasks.storage.session import Session
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import KINDS, Staged
from tests.contract.place import Values
from tests.contract.test_faults import fault

published = pytest.mark.parametrize("bench", [kind for kind in KINDS if issubclass(KINDS[kind], Staged)], indirect=True)


@published
def test_a_check_looks_at_rclone_and_tells_what_protects(bench: Bench, shop: Sides) -> None:
    found = {check.name: check for check in checks(shop.session, shop.app) if check.name in ("rclone", "python3")}
    assert {check.level for check in found.values()} == {"ok"}
    assert len(found) == 2
    assert shop.storage.remark() == "not protected from its hosts"


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
