"""`nightly`: does what is due by the schedule and the records, once, and makes up for what failed."""

import fcntl
import json
import os
from pathlib import Path

import pytest
import yaml

from tasks.schedule.nightly import only_one
from tasks.storage.registry import load
from tests.integration.fleet.support import Operator
from tests.integration.local import after_the_newest_archive, local_inventory, records


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    inventory = local_inventory(tmp_path, tmp_path / "fault")
    main = yaml.safe_load((inventory / "cloudbackup.yml").read_text())
    main["defaults"] = {"keep": {"last": 1}, "retries": 0}
    main["schedule"] = {"backup": "00:00", "prune": "daily", "check": "1/2 daily", "verify": "daily"}
    (inventory / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    operator = Operator(inventory)
    operator.done("borg.init")
    return operator


def counts(folder: Path) -> dict[str, int]:
    return {action: len(records(folder, action)) for action in ("backup", "check", "verify")}


def test_a_night_and_what_it_missed(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    due = operator.done("nightly", "--dry-run").splitlines()
    assert [line.split()[0] for line in due] == ["backup", "check", "verify", "prune"]
    assert due[0].endswith("new, shop")
    assert counts(tmp_path)["backup"] == 0

    end = operator.inv("nightly")
    assert end.returncode == 3, end.stdout + end.stderr
    assert counts(tmp_path) == {"backup": 2, "check": 1, "verify": 1}  # of the shop, which has no archive, nothing more

    (tmp_path / "fault").unlink()
    after_the_newest_archive(tmp_path)
    assert operator.done("nightly", "--dry-run").splitlines()[0].endswith("backup   shop")
    end = operator.inv("nightly")
    assert end.returncode == 0, end.stdout + end.stderr
    assert [each["app"] for each in records(tmp_path, "backup") if each["outcome"] == "ok"] == ["new", "shop"]
    assert {each["app"] for each in records(tmp_path, "verify") if each["outcome"] == "ok"} == {"new", "shop"}

    before = counts(tmp_path)
    assert [line.split(maxsplit=1)[1] for line in operator.done("nightly").splitlines()] == ["nothing is due"] * 4
    assert counts(tmp_path) == before
    (shown,) = (
        each
        for each in json.loads(operator.done("schedule.show", "--format", "json"))["tasks"]
        if each["task"] == "check"
    )
    assert shown["schedule"] == "1/2 daily"


def test_two_at_once_do_not_run_twice(operator: Operator, tmp_path: Path) -> None:
    with only_one(load(operator.inventory)) as free:
        assert free
        assert "another `nightly`" in operator.done("nightly")
        (lock,) = (tmp_path / "cache").glob("nightly-*.lock")
        os.utime(lock, (0, 0))  # one that hangs for days is reported: nobody saves anything meanwhile
        end = operator.inv("nightly")
        assert (end.returncode, "runs on this machine since 1970" in end.stderr) == (3, True), end.stderr
    assert counts(tmp_path)["backup"] == 0
    lock = next((tmp_path / "cache").glob("nightly-*.lock"))
    with lock.open() as opened:  # what a killed one leaves holds nobody back
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
