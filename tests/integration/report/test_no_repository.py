"""An app without a repository is missing, whether it was never made or is gone; then the records tell what it had."""

from pathlib import Path

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory

GONE = "there is no repository at"


def test_never_made_and_gone_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    rows = operator.report()
    assert [row["status"] for row in rows.values()] == ["unknown", "unknown"]  # an unmounted disk looks like this, too
    operator.done("borg.init", "--app", "shop")
    operator.done("backup", "--app", "shop")
    rows = operator.report()
    assert {app: row["status"] for (app, _), row in rows.items()} == {"shop": "ok", "new": "missing"}
    assert GONE in rows["new", "files"]["error"]
    metrics = operator.done("report", "--format", "prometheus").splitlines()
    lines = [line for line in metrics if line.startswith("cloudbackup_archives{") and 'app="new"' in line]
    assert [float(line.rsplit(" ", 1)[1]) for line in lines] == [0]  # what the alert of an app that never ran asks for
    (tmp_path / "storage" / "shop").rename(tmp_path / "aside")
    row = operator.report()["shop", "files"]
    assert row["status"] == "missing"
    assert GONE in row["error"]
    assert "is not in the repository" in row["error"]
