"""What an earlier version wrote goes on working: a repository and records of commit 9f9cf26, kept beside this file.

It was made with borg 1.2.4 and MariaDB 10.11.19: two archives of files, one of the server, three of binary logs, a
drill of each, a check. `expected.json` holds what the app had in the end.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import database, mariadb, programs, tree
from lab.lab import scratch_folder
from tests.integration.fleet.support import Operator

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
FILES = EXPECTED["path"]
NAMES = (
    "shop-files-2026-11-27T20-45-56",
    "shop-mariadb-2026-11-27T20-45-58",
    "shop-binlog-2026-11-27T20-46-01",
    "shop-binlog-2026-11-27T20-46-04",
    "shop-binlog-2026-11-27T20-46-06",
    "shop-files-2026-11-27T20-46-08",
)
VERSION = subprocess.run((programs.find("mariadbd"), "--version"), capture_output=True, text=True, check=True).stdout
SAME_SERIES = "10.11." in VERSION  # a server of another series is refused by name


class Owner(Operator):
    """Works on the machine itself as from a home of its own: borg remembers there where it saw a repository."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HOME": str(self.inventory.parent)}


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    """Return an operator whose own machine has the storage, as an earlier version left it, on a disk."""
    folder = scratch_folder()
    subprocess.run(["tar", "-xf", str(HERE / "store.tar"), "-C", str(folder)], check=True)
    secret = folder / "passphrase"
    secret.touch(0o600)
    secret.write_text(EXPECTED["passphrase"])
    apps = folder / "inventory/apps"
    apps.mkdir(parents=True)
    settings = {
        "storages": {"disk": {"kind": "local", "directory": str(folder / "cloudbackup")}},
        "defaults": {"max_age": "36500d", "keep": {"last": 1}},
        **{key: str(folder / key) for key in ("escrow", "agent_keys", "cache")},
        "secrets": {"directory": str(folder / "secrets")},
    }
    (folder / "inventory/cloudbackup.yml").write_text(yaml.safe_dump(settings))
    app = {
        "host": "local",
        "passphrase": {"file": str(secret)},
        "files": {"paths": [FILES]},
        "mariadb": {"binlog": True, "verify": ["SELECT COUNT(*) > 0 FROM shop.orders"]},
    }
    (apps / "shop.yml").write_text(yaml.safe_dump(app))
    yield Owner(folder / "inventory")
    shutil.rmtree(folder)


def test_everything_is_listed_and_well(operator: Operator) -> None:
    assert sorted(operator.archives("shop")) == sorted(NAMES)
    rows = operator.report()
    assert {source: row["status"] for (_, source), row in rows.items()} == dict.fromkeys(
        ("files", "mariadb", "binlog"), "ok"
    )
    assert rows["shop", "files"]["proven"] == "2026-11-27T20:46:10Z"
    assert rows["shop", "mariadb"]["proven"] == "2026-11-27T20:46:13Z"
    assert rows["shop", "mariadb"]["recoverable_until"].startswith("2026-11-27T20:46:0")


def test_files_come_back_as_they_were(operator: Operator, tmp_path: Path) -> None:
    operator.done("restore", "--app", "shop", "--source", "files", "--target", str(tmp_path / "files"))
    assert tree.fingerprint(tmp_path / "files" / FILES.lstrip("/"), excluding_caches=True) == EXPECTED["files"]


def test_the_database_comes_back_as_of_its_newest_moment(operator: Operator) -> None:
    target = operator.inventory.parent / "restored"
    until = operator.report()["shop", "mariadb"]["recoverable_until"]
    end = operator.inv("restore", "--app", "shop", "--source", "mariadb", "--at", until, "--target", str(target))
    if not SAME_SERIES:
        assert end.returncode != 0
        assert "10.11" in end.stdout + end.stderr
        return
    assert end.returncode == 0, end.stdout + end.stderr
    with mariadb.serving(target) as server:
        assert database.fingerprint(server, "shop") == EXPECTED["tables"]


def test_drills_prove_it(operator: Operator) -> None:
    end = operator.inv("verify", "--app", "shop")
    assert "shop  files" in end.stdout
    assert end.returncode == (0 if SAME_SERIES else 3), end.stdout + end.stderr


def test_the_repository_is_whole_and_is_pruned(operator: Operator) -> None:
    operator.done("check", "--app", "shop")
    end = operator.inv("prune", "--app", "shop", "--yes")
    assert end.returncode == 0, end.stdout + end.stderr
    assert sorted(operator.archives("shop")) == sorted(NAMES[1:])
