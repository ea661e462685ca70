"""`upload` and `nice`: what borg really gets, and what is told of it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory

# Notes how it is run, then is the real one; the dump that it starts notes that too.
_BORG = '#!/bin/bash\nprintf \'%s\\n\' "$(nice) $(ionice -p $$) $*" >>{log}\nexec {borg} "$@"\n'


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    programs = tmp_path / "bin"
    programs.mkdir()
    borg = programs / "borg"
    borg.write_text(_BORG.format(log=tmp_path / "log", borg=shutil.which("borg")))
    borg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    operator.done("borg.init")
    return operator


def created(folder: Path) -> list[str]:
    """Return how borg was started for the archives, and forget it."""
    lines = [line for line in (folder / "log").read_text().splitlines() if " create " in line]
    (folder / "log").write_text("")
    return lines


def default(values: dict[str, Any], **more: object) -> None:
    values["defaults"] = {**values.get("defaults", {}), **more}


def test_borg_runs_as_the_inventory_says(operator: Operator, tmp_path: Path) -> None:
    own = os.nice(0)
    operator.done("backup")
    assert all(line.startswith(f"{own} ") and "ratelimit" not in line for line in created(tmp_path))

    operator.change("cloudbackup.yml", lambda values: default(values, nice=True, upload={"00:00-24:00": "2MB/s"}))
    operator.change("apps/new.yml", lambda values: values.update(nice=False, upload="none"))
    operator.done("backup")
    shop, new = sorted(created(tmp_path), key=lambda line: "::new-" in line)
    assert shop.startswith(f"{min(own + 10, 19)} best-effort: prio 7 ")
    assert " --upload-ratelimit=1953 " in shop
    assert new.startswith(f"{own} ")
    assert "ratelimit" not in new
    assert "--upload-ratelimit=1953" in operator.done("backup", "--app", "shop", "--dry-run", "--verbose")


def test_what_holds_now_is_checked(operator: Operator) -> None:
    operator.change("cloudbackup.yml", lambda values: default(values, nice=True, upload={"00:00-24:00": "2MB/s"}))
    end = operator.inv("app.check", "--app", "shop")
    assert "`upload` limits nothing: disk is a directory of the host" in end.stdout
    assert "borg and the dump run at low CPU and I/O priority" in end.stdout
    assert {row["status"] for row in json.loads(operator.inv("report", "--format=json").stdout)["apps"]} == {"missing"}
