"""Two inventories with an app of one name, on one host and one account: neither takes the other's access silently."""

from pathlib import Path

import pytest
import yaml

import tasks.storagebox.setup as storagebox_setup
from tasks.errors import RefusedError, UsageError
from tasks.remote.ssh import fingerprint
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import kinds_with


@pytest.fixture
def other(bench: Bench, tmp_path: Path) -> Path:
    """Return the inventory with other directories on the same storage, as a copy for staging has them."""
    values = yaml.safe_load((bench.inventory / "cloudbackup.yml").read_text())
    values["storages"]["store"]["directory"] += "-staging"
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(yaml.safe_dump(values))
    (tmp_path / "apps" / "shop.yml").write_bytes((bench.inventory / "apps" / "shop.yml").read_bytes())
    return tmp_path


@kinds_with("keys")
def test_an_access_that_would_be_taken_away_is_asked_about(bench: Bench, shop: Sides, other: Path) -> None:
    before = bench.account_keys.read_bytes()
    questions: list[str] = []

    def refuses(question: str) -> bool:
        questions.append(question)
        return False

    def trusts(_: str, shown: str) -> bool:
        return shown == fingerprint(bench.place.host_key)

    with pytest.raises(UsageError, match="Replace that by") as caught:
        storagebox_setup.run(str(other), ["store"], trusts, print)
    assert "--yes" in caught.value.remedy
    with pytest.raises(RefusedError, match="nothing was changed"):
        storagebox_setup.run(str(other), ["store"], trusts, print, refuses)
    assert shop.storage.path(shop.app) in questions[0]
    assert bench.account_keys.read_bytes() == before
    assert shop.listed() is not None
    try:
        storagebox_setup.run(str(other), ["store"], trusts, print, lambda _: True)
        assert f"{shop.storage.path(shop.app)} " not in bench.account_keys.read_text()
    finally:
        bench.account_keys.write_bytes(before)
