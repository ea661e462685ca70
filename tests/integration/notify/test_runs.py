"""Who hears of real runs: backups, drills, the report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
import tasks.report.show as report_show
from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory
from tests.unit.notify.support import Web, listening

TOKEN = "SECRET-TOKEN-0815"


@pytest.fixture
def web() -> Iterator[Web]:
    with listening() as web:
        yield web


@pytest.fixture
def operator(tmp_path: Path, web: Web) -> Operator:
    """Return the operator of two apps: one has a ping of its own, all have a ping and messages."""
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    operator.done("borg.init")
    message = web.address.replace("http", "json")

    def secret(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text + "\n")
        return {"file": str(tmp_path / name)}

    everybody = [
        {"ping": secret("ping", f"{web.address}/all-{TOKEN}")},
        {"url": secret("message", f"{message}/message-{TOKEN}")},
        {"url": secret("broken", f"json://127.0.0.1:1/{TOKEN}"), "on": "always"},
    ]
    keep = {"keep": {"last": 1}}
    shop: list[dict[str, Any]] = [
        {"ping": secret("shop", f"{web.address}/shop-{TOKEN}"), "after": ["backup", "verify"]}
    ]
    operator.change(
        "cloudbackup.yml", lambda values: values.update(notify=everybody, page="https://backups.example.org/")
    )
    operator.change("apps/shop.yml", lambda values: values.update(keep, notify=shop))
    return operator


def heard(web: Web) -> list[str]:
    """Return the paths that were heard since the last time, without the token."""
    paths = [path.replace(f"-{TOKEN}", "") for path in web.paths]
    web.heard.clear()
    return paths


def test_they_hear_of_each_run(operator: Operator, web: Web, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = str(operator.inventory)
    (tmp_path / "fault").touch()
    assert fleet_backup.run(folder, fleet_backup.Options()) == 3
    bodies = {path.replace(f"-{TOKEN}", ""): body for path, body in web.heard}
    assert list(bodies) == ["/all/start", "/shop/start", "/shop/fail", "/all/fail", "/message"]
    assert bodies["/shop/fail"].startswith("backup of shop: 0 of 1 saved, 1 failed\n\n- shop files: failed: ")
    assert "a command before the backup" in bodies["/all/fail"]
    assert bodies["/all/fail"].index("- shop files: failed") < bodies["/all/fail"].index(
        "ok: new files"
    )  # the failure first
    message = json.loads(bodies["/message"])
    assert (message["title"], message["type"]) == ("backup: 1 of 2 saved, 1 failed", "failure")
    heard(web)

    assert (
        fleet_prune.run(folder, fleet_prune.Options(), lambda _: True) == 5
    )  # the guard refuses after a failed backup
    ((path, body),) = web.heard
    assert (path, json.loads(body)["title"]) == (f"/message-{TOKEN}", "prune: 0 of 1 pruned, 1 failed")
    heard(web)
    assert report_show.run(folder, report_show.Options(notify=True)) == 0
    ((path, body),) = web.heard
    assert (path, json.loads(body)["title"]) == (f"/message-{TOKEN}", "report: 1 of 2 needs a look")
    assert "- shop files (local): missing: a command before the backup failed" in json.loads(body)["message"]
    heard(web)
    week = report_show.Options(notify=True, digest="7d")
    assert report_show.run(folder, week) == 0
    ((path, body),) = web.heard
    assert json.loads(body)["message"].splitlines()[-1] == "All of it: https://backups.example.org/"
    assert "Runs: 2 backups (1 failed)" in json.loads(body)["message"]
    heard(web)

    (tmp_path / "fault").unlink()
    capfd.readouterr()
    assert fleet_backup.run(folder, fleet_backup.Options()) == 0  # though one notification never gets through
    said = capfd.readouterr()
    assert said.err.startswith("cloudbackup: notification 3 of all apps: the message was not sent")
    assert heard(web) == ["/all/start", "/shop/start", "/shop", "/all"]
    assert fleet_verify.run(folder, fleet_verify.Options(apps=("shop",))) == 0
    assert heard(web) == ["/shop/start", "/shop"]
    assert fleet_check.run(folder, fleet_check.Options()) == 0
    assert heard(web) == []  # nobody wants to hear of a check that is well
    assert TOKEN not in said.out + said.err
