"""From a new box, where only its password logs in, to one that every app's host can append to."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.lab import Lab, scratch_folder
from lab.plan import MAIN_ACCOUNT, AppPlan, BoxPlan
from tasks.remote.ssh import fingerprint
from tests.integration.fleet.support import Operator


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", mariadb=False, files_megabytes=1),), BoxPlan(operator_key=False))
    yield lab
    lab.remove()
    folder.rmdir()


@pytest.fixture
def operator(new: Lab, tmp_path: Path) -> Operator:
    """Return an operator whose inventory has no host key for the box."""
    operator = Operator(new.inventory).copy(tmp_path / "inventory")
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].pop("host_key"))
    return operator


def ssh(lab: Lab, key: Path, *words: str) -> subprocess.CompletedProcess[str]:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    login = ["ssh", "-i", str(key), *options, "-o", "IdentitiesOnly=yes", "-p", str(lab.box.port)]
    return subprocess.run([*login, f"{MAIN_ACCOUNT}@127.0.0.1", *words], capture_output=True, text=True, check=False)


def test_another_fingerprint_is_refused_and_nothing_written(new: Lab, operator: Operator) -> None:
    before = (operator.inventory / "cloudbackup.yml").read_text()
    end = operator.inv("storagebox.setup", "--fingerprint", "SHA256:somebody-else")
    assert end.returncode == 5
    assert fingerprint(new.box.host_key) in end.stderr
    assert (operator.inventory / "cloudbackup.yml").read_text() == before


def test_nobody_is_asked_without_a_terminal(operator: Operator) -> None:
    end = operator.inv("storagebox.setup")
    assert (end.returncode, "--yes" in end.stderr) == (2, True)


def test_a_new_box_is_made_ready_once(new: Lab, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = ("storagebox.setup", "--fingerprint", fingerprint(new.box.host_key))
    end = operator.inv(*accepted)
    assert (end.returncode, "STORAGEBOX_PASSWORD" in end.stderr) == (2, True)
    monkeypatch.setenv("STORAGEBOX_PASSWORD", "lab password")
    operator.done(*accepted)
    monkeypatch.delenv("STORAGEBOX_PASSWORD")
    pinned = yaml.safe_load((operator.inventory / "cloudbackup.yml").read_text())["storages"]["box"]["host_key"]
    assert pinned == new.box.host_key
    keys = (new.box.home() / ".ssh" / "authorized_keys").read_text()
    assert keys.count("BEGIN SSH2 PUBLIC KEY") == 1
    assert (
        'command="borg-1.4 serve --append-only --restrict-to-repository cloudbackup/shop",restrict ssh-ed25519' in keys
    )
    operator.done("storagebox.setup")
    assert (new.box.home() / ".ssh" / "authorized_keys").read_text() == keys
    assert ssh(new, new.operator_key, "ls").returncode == 0
    operator.done("borg.init")
    operator.done("backup")
    assert " of 1.1 TB used" in operator.done("storagebox.usage")


def test_a_hosts_key_opens_its_repository_and_nothing_else(new: Lab, operator: Operator) -> None:
    key = new.apps["shop"].home / ".ssh" / "cloudbackup_shop"
    end = ssh(new, key, "ls")
    assert "cloudbackup" not in end.stdout
    assert ssh(new, key, "cat", ".ssh/authorized_keys").stdout.find("ssh-ed25519") == -1
