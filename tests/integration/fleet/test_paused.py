"""An app that is paused: passed over by everything that runs by itself, restored as ever, and no alarm anywhere."""

import json
from pathlib import Path

import yaml

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory, records


def change(inventory: Path, app: str, **keys: object) -> None:
    file = inventory / "apps" / f"{app}.yml"
    old = {key: value for key, value in yaml.safe_load(file.read_text()).items() if key not in keys}
    file.write_text(yaml.safe_dump(old | {key: value for key, value in keys.items() if value is not None}))


def test_paused_and_tagged_apps(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    inventory = local_inventory(tmp_path, fault)
    main = yaml.safe_load((inventory / "cloudbackup.yml").read_text())
    main["defaults"] = {"keep": {"last": 1}, "retries": 0}
    main["schedule"] = {"backup": "00:00", "prune": "daily", "check": "daily", "verify": "daily"}
    (inventory / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    change(inventory, "new", tags=["prod"])
    operator = Operator(inventory)
    operator.done("borg.init")
    operator.done("backup")
    before = {action: len(records(tmp_path, action)) for action in ("backup", "check", "verify")}

    fault.touch()  # what the pause is for: nothing of it works now
    change(inventory, "shop", paused="9999-12-31", max_age="1s")
    passed = "shop is paused until 31 Dec 9999: passed over"
    for task in ("backup", "check", "verify", "app.check"):
        assert passed in operator.done(task)
    assert passed in operator.done("prune", "--yes")
    assert passed in operator.done("nightly")
    assert {each["app"] for action in before for each in records(tmp_path, action)[before[action] :]} == {"new"}

    for words in (["backup"], ["verify"], ["check"], ["prune", "--yes"], ["mariadb.binlog"]):
        end = operator.inv(*words, "--app", "shop")
        assert (end.returncode, end.stdout) == (2, "")
        assert "shop is paused until 31 Dec 9999" in end.stderr
    assert passed in operator.done("nightly", "--app", "shop")

    report = json.loads(operator.done("report", "--strict", "--format", "json"))
    assert {row["app"]: row["status"] for row in report["apps"]} == {"new": "ok", "shop": "paused"}
    operator.done("restore", "--app", "shop", "--target", str(tmp_path / "back"))
    assert (tmp_path / "back" / str(tmp_path / "data").lstrip("/") / "file").read_text() == "content"

    assert "shop" not in operator.done("backup", "--tag", "prod", "--verbose")
    end = operator.inv("report", "--tag", "prd")
    assert end.returncode == 2
    assert "did you mean prod?" in end.stderr

    change(inventory, "shop", paused="2020-01-01", max_age=None)
    fault.unlink()
    operator.done("backup", "--app", "shop")
    report = json.loads(operator.done("report", "--strict", "--format", "json"))
    assert {row["app"]: row["paused"] for row in report["apps"]} == {"new": None, "shop": None}
