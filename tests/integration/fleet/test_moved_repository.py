"""A storage's folder gets another name: what is printed leads back to work, and nothing else than the same is confirmed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.integration.fleet.support import Operator

OLD, NEW = "cloudbackup", "moved"


@pytest.fixture
def moved(lab: Lab, operator: Operator, saved: str) -> Iterator[Path]:
    """Rename the folder on the box and in the inventory; afterwards all goes back, by the same commands."""
    home = lab.box.home()
    rename(home / OLD, home / NEW, operator)
    yield home / NEW
    rename(home / NEW, home / OLD, operator)
    operator.done("storagebox.setup", "--yes")
    for app in ("shop", "blog"):
        operator.done("borg.confirm-address", "--app", app, "--yes")


def rename(old: Path, new: Path, operator: Operator) -> None:
    old.rename(new)
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].update(directory=new.name))


def test_the_printed_remedies_lead_back_to_work(lab: Lab, operator: Operator, moved: Path) -> None:
    refused = operator.inv("storagebox.setup")
    assert refused.returncode == 2
    assert f"{OLD}/" in refused.stderr
    assert "--yes" in refused.stderr
    operator.done("storagebox.setup", "--yes")
    failed = operator.inv("backup", "--app", "shop", "--source", "files")
    assert failed.returncode == 4
    assert "was at another address" in failed.stdout
    remedy = re.search(r"`inv (borg\.confirm-address[^`]*)`", failed.stdout)
    assert remedy is not None, failed.stdout
    words = remedy[1].split()
    asked = operator.inv(*words)  # nobody is there to answer
    assert asked.returncode == 2
    assert operator.inv("backup", "--app", "shop", "--source", "files").returncode == 4
    told = operator.done(*words, "--yes")
    assert "confirmed on this machine" in told
    assert "confirmed on 127.0.0.1" in told
    operator.done("backup", "--app", "shop", "--source", "files")
    operator.done("borg.list", "--app", "shop")


def test_what_the_records_do_not_tell_of_is_not_confirmed(lab: Lab, operator: Operator, moved: Path) -> None:
    operator.done("storagebox.setup", "--yes")
    shop, blog, aside = moved / "shop", moved / "blog", moved / "aside"
    shop.rename(aside)
    blog.rename(shop)  # another repository in its place
    try:
        end = operator.inv("borg.confirm-address", "--app", "shop", "--yes")
        assert end.returncode in (3, 5), end.stdout + end.stderr
        assert "confirmed" not in end.stdout
    finally:
        shop.rename(blog)
        aside.rename(shop)
    records = sorted((moved / "records" / "shop").glob("*-backup-*.json"))
    forged = json.loads(records[0].read_text())
    forged["archive_ids"] = ["ab" * 32]
    kept = records[0].read_text()
    records[0].write_text(json.dumps(forged))
    try:
        end = operator.inv("borg.confirm-address", "--app", "shop", "--yes")
        assert end.returncode == 5, end.stdout + end.stderr
        assert "not as the records tell" in end.stderr
    finally:
        records[0].write_text(kept)
