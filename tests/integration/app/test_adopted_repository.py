"""Repositories that stock borg made, taken into use with their archives, on real borgs and a directory as storage."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.borg.conftest import BORGS
from tests.integration.fleet.support import Operator

Borg = Callable[..., str]
SERIES = [f"web1-2024-0{month}-0{day}T03:00:00.123456" for month in (1, 2) for day in (1, 2)]


@pytest.fixture(params=BORGS)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with data, an inventory without apps, and homes of their own for both tools."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "borg").symlink_to(request.param)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("inventory/apps", "data", "secrets", "storage"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "file").write_text("first")
    main = {
        "storages": {"disk": {"kind": "local", "directory": str(tmp_path / "storage")}},
        "defaults": {"storage": "disk"},
        **{name: str(tmp_path / name) for name in ("escrow", "cache")},
        "secrets": {"directory": str(tmp_path / "secrets")},
    }
    (tmp_path / "inventory" / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    (tmp_path / "secrets" / "shop").write_text("it's a secret")
    (tmp_path / "secrets" / "shop").chmod(0o600)
    return tmp_path


def stock(place: Path) -> Borg:
    """Return a function that runs the other tool's borg on the repository."""
    environment = {
        **os.environ,
        "BORG_BASE_DIR": str(place / "other"),
        "BORG_REPO": str(place / "storage" / "shop"),
        "BORG_PASSPHRASE": "it's a secret",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "BORG_SELFTEST": "disabled",
    }

    def borg(*words: str) -> str:
        return subprocess.run(["borg", *words], env=environment, capture_output=True, text=True, check=True).stdout

    return borg


def made(place: Path, encryption: str) -> Borg:
    """Make a repository with archives of a series, and one with a name of its own."""
    borg = stock(place)
    borg("init", f"--encryption={encryption}")
    for name in SERIES:
        borg("create", f"--timestamp={name[5:24]}", f"::{name}", str(place / "data"))
    borg("create", "--timestamp=2024-05-01T00:00:00", "::before-upgrade", str(place / "data"))
    (place / "data" / "file").write_text("second")
    return borg


def added(operator: Operator, place: Path) -> "subprocess.CompletedProcess[str]":
    return operator.inv("app.add", "--app", "shop", "--host", "local", "--files", str(place / "data"))


def row(operator: Operator) -> dict[str, object]:
    (found,) = json.loads(operator.inv("report", "--format", "json").stdout)["apps"]
    assert isinstance(found, dict)
    return found


def test_a_repository_is_adopted_with_its_archives(place: Path) -> None:
    borg, operator = made(place, "repokey-blake2"), Operator(place / "inventory")
    done = added(operator, place)
    assert done.returncode == 0, done.stdout + done.stderr
    held = "5 archives of other names: web1-* (4, 2024-01-01 to 2024-02-02), before-upgrade (1 of 2024-05-01)"
    assert f"was there and opens (repokey-blake2): {held}" in done.stdout
    assert "and 5 older archives of other names" in done.stdout
    before = row(operator)
    assert (before["status"], before["archives"], before["other_archives"]) == ("ok", 1, 5)

    # Restored, drilled, found by name; nothing of it makes our own archives proven.
    drill = operator.inv("verify", "--app", "shop", "--archive", SERIES[0])
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert row(operator)["proven"] == before["proven"]
    target = place / "back"
    assert (
        operator.inv("restore", "--app", "shop", "--archive", SERIES[1], "--target", str(target), "--yes").returncode
        == 0
    )
    (file,) = [path for path in target.rglob("file") if path.is_file()]
    assert file.read_text() == "first"
    assert "in 5 archives" in operator.inv("find", "data/file", "--app", "shop").stdout

    # Nothing of it is pruned without a rule, and by the rule each series for itself; what was drilled stays.
    shop = place / "inventory" / "apps" / "shop.yml"
    text = shop.read_text()
    shop.write_text(text + "keep: {last: 1}\n")
    assert operator.inv("prune", "--yes").returncode == 0
    assert row(operator)["other_archives"] == 5
    shop.write_text(text + "keep: {last: 1, other: {monthly: 1}}\n")
    borg("create", "::web1-2026-11-28T03:00:00", str(place / "data"))
    refused = operator.inv("prune", "--yes")
    assert refused.returncode == 5
    assert "web1-2026-11-28T03:00:00 is in the repository, and no record tells of it" in refused.stdout

    # A trial side by side: the series raises no alarm, another name does, and ours stays the newest.
    assert operator.inv("report.accept", "--app", "shop", "--series", "*", "--reason", "trial", "--yes").returncode == 2
    accepted = operator.inv("report.accept", "--app", "shop", "--series", "web1-*", "--reason", "trial", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    borg("create", "::web1-2026-11-28T04:00:00", str(place / "data"))
    after = row(operator)
    assert (after["status"], after["archive"], after["other_archives"]) == ("ok", before["archive"], 7)
    pruned = operator.inv("prune", "--yes")
    assert pruned.returncode == 0, pruned.stdout + pruned.stderr
    left = borg("list", "--short").split()
    assert set(left) == {
        *(SERIES[0], SERIES[3], "before-upgrade"),
        *("web1-2026-11-28T03:00:00", "web1-2026-11-28T04:00:00", str(before["archive"])),
    }
    assert row(operator)["status"] == "ok"
    borg("create", "::evil", str(place / "data"))
    alarm = row(operator)
    assert alarm["status"] == "failed"
    assert "evil is in the repository, and no record tells of it" in str(alarm["error"])
    back = operator.inv(
        "report.accept", "--app", "shop", "--series", "web1-*", "--withdraw", "--reason", "end", "--yes"
    )
    assert back.returncode == 0
    assert "web1-2026-11-28T03:00:00" in str(row(operator)["error"])


def test_the_key_of_a_key_file_is_asked_for_and_then_the_repository_is_adopted(place: Path) -> None:
    made(place, "keyfile")
    operator = Operator(place / "inventory")
    keys = place / "home" / ".config" / "borg" / "keys"
    without = added(operator, place)
    assert without.returncode == 3
    assert f"the repository's key is in a key file, and none for it is in {keys}" in without.stderr
    (key,) = (place / "other" / ".config" / "borg" / "keys").iterdir()
    keys.mkdir(parents=True, exist_ok=True)
    (keys / "shop").write_bytes(key.read_bytes())
    done = added(operator, place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "its key is in a key file, not in the repository" in done.stdout
    found = row(operator)
    assert (found["status"], found["other_archives"]) == ("ok", 5), found


def test_a_wrong_passphrase_at_first_does_not_make_the_archives_unknown(place: Path) -> None:
    made(place, "repokey")
    operator, secret = Operator(place / "inventory"), place / "secrets" / "shop"
    right = secret.read_text()
    secret.write_text("wrong")
    assert added(operator, place).returncode == 3
    secret.write_text(right)
    assert added(operator, place).returncode == 0
    assert row(operator)["status"] == "ok"
