"""The Storage Box itself, by tasks alone: sub-accounts, keys, snapshots, switches, space."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.contract.support import size_of
from tests.integration.fleet.support import Operator, make_ready


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", mariadb=False, files_megabytes=1),))
    make_ready(lab)
    yield lab
    lab.remove()
    folder.rmdir()


@pytest.fixture(scope="module")
def operator(lab: Lab) -> Operator:
    operator = Operator(lab.inventory)
    operator.done("backup")
    return operator


OPTIONS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
OPTIONS += ["-o", "IdentitiesOnly=yes"]


def listed(lab: Lab, account: str, key: Path) -> subprocess.CompletedProcess[str]:
    """Log in with a key and list the home."""
    login = ["ssh", "-i", str(key), *OPTIONS, "-p", str(lab.box.port)]
    return subprocess.run([*login, f"{account}@127.0.0.1", "ls"], capture_output=True, text=True, check=False)


def ports_opened(lab: Lab, key: Path) -> list[str]:
    """Return on which of the box's ports a key gets at the files."""
    opened = []
    for name, port in (("22", lab.box.sftp_port), ("23", lab.box.port)):
        words = ["sftp", "-q", "-b", "-", "-i", str(key), *OPTIONS, "-P", str(port), "u100001@127.0.0.1"]
        done = subprocess.run(words, input="ls cloudbackup\n", capture_output=True, text=True, check=False)
        opened += [name] if done.returncode == 0 and "cloudbackup/shop" in done.stdout else []
    return opened


def test_usage_tells_what_fills_the_box(lab: Lab, operator: Operator) -> None:
    (lab.box.home() / "old").write_bytes(b"x" * 3_000_000)
    made = operator.done("storagebox.snapshots", "--create", "--description", "before")
    (lab.box.home() / "old").unlink()
    lines = operator.done("storagebox.usage").splitlines()
    assert " of 1.1 TB used" in lines[0]
    assert "BX11: data 1 MB, snapshots 3 MB" in lines[1]
    assert lines[2].strip().startswith("shop  1 MB")
    assert "there are no two days of backups yet" in lines[3]
    name = made.split()[2]
    operator.done("storagebox.snapshots", "--delete", name, "--yes")
    assert name not in operator.done("storagebox.snapshots")


def test_a_rollback_says_what_will_be_lost_and_loses_it(lab: Lab, operator: Operator) -> None:
    name = operator.done("storagebox.snapshots", "--create").split()[2]
    operator.done("backup")
    newer = operator.done("storagebox.snapshots", "--create").split()[2]
    lost = operator.archives("shop")[-1]
    end = operator.inv("storagebox.snapshots", "--rollback", name)
    assert (end.returncode, "--yes" in end.stderr) == (2, True)
    assert f"snapshots: {newer}" in end.stdout
    assert f"archives: 1: {lost}" in end.stdout
    operator.done("storagebox.snapshots", "--rollback", name, "--yes")
    assert newer not in operator.done("storagebox.snapshots")
    assert lost not in operator.done("borg.list", "--app", "shop")
    operator.done("backup")
    operator.done("storagebox.snapshots", "--plan", "03:30", "--keep", "7", "--weekday", "1")
    assert "every Monday at 03:30 UTC, the newest 7 are kept" in operator.done("storagebox.snapshots")
    operator.done("storagebox.snapshots", "--no-plan")
    end = operator.inv("storagebox.snapshots", "--plan", "25:00", "--keep", "7")
    assert (end.returncode, "no time of day" in end.stderr) == (2, True)


def test_keys_are_listed_added_and_removed_but_the_operators_own(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    key = tmp_path / "colleague"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a colleague", "-f", str(key)], check=True)
    assert listed(lab, "u100001", key).returncode != 0
    added = operator.done("storagebox.keys", "--add", f"{key}.pub")
    shown = operator.done("storagebox.keys")
    assert shown.count("a colleague") == 2
    assert "borg-1.4 serve --append-only --restrict-to-repository cloudbackup/shop  cloudbackup shop" in shown
    assert listed(lab, "u100001", key).returncode == 0
    operator.done("storagebox.keys", "--remove", added.split()[1], "--yes")
    assert "a colleague" not in (lab.box.home() / ".ssh/authorized_keys").read_text()
    assert listed(lab, "u100001", key).returncode != 0
    own = next(line.split()[0] for line in shown.splitlines() if "lab operator" in line)
    end = operator.inv("storagebox.keys", "--remove", own, "--yes")
    assert (end.returncode, "the operator's own key" in end.stderr) == (5, True)


@pytest.mark.parametrize(
    ("kind", "port", "opened"),
    [("rsa", "22", "22"), ("rsa", "23", "23"), ("ecdsa", "both", "22 23"), ("ed25519", "both", "23")],
)
def test_a_key_opens_the_ports_that_it_was_added_for(  # noqa: PLR0917
    lab: Lab, operator: Operator, tmp_path: Path, kind: str, port: str, opened: str
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "of a port", "-f", str(key)], check=True)
    assert ports_opened(lab, key) == []
    added = operator.done("storagebox.keys", "--add", f"{key}.pub", "--port", port)
    assert ports_opened(lab, key) == opened.split()
    assert ("ssh-ed25519 may be refused there" in added) is (kind == "ed25519")
    operator.done("storagebox.keys", "--remove", added.split()[1], "--yes")
    assert ports_opened(lab, key) == []


def test_a_sub_account_sees_its_own_folder_alone(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    operator = operator.copy(tmp_path / "inventory")
    operator.done("storagebox.accounts", "--create", "shop")
    assert "u100001-sub1  /accounts/shop  SSH, external" in operator.done("storagebox.accounts")
    storages = yaml.safe_load((operator.inventory / "cloudbackup.yml").read_text())["storages"]
    assert list(storages) == ["box-shop", "box"]
    assert (storages["box-shop"]["host"], storages["box"]["host"]) == ("127.0.0.2", "127.0.0.1")
    operator.change("apps/shop.yml", lambda values: values.update(storage="box-shop"))
    operator.done("app.add", "--app", "shop")
    assert (lab.box.home() / "accounts/shop/cloudbackup/shop/config").exists()
    assert listed(lab, "u100001-sub1", lab.operator_key).stdout.split() == ["cloudbackup"]
    end = operator.inv("storagebox.accounts", "--remove", "u100001-sub1", "--yes")
    assert (end.returncode, "is the account of the storage box-shop" in end.stderr) == (2, True)
    operator.change("apps/shop.yml", lambda values: values.update(storage="box"))
    operator.change("cloudbackup.yml", lambda values: values["storages"].pop("box-shop"))
    operator.done("storagebox.accounts", "--remove", "u100001-sub1", "--yes")
    assert listed(lab, "u100001-sub1", lab.operator_key).returncode != 0
    assert (lab.box.home() / "accounts/shop/cloudbackup/shop/config").exists()


def test_a_closed_way_is_told_with_the_switch_that_opens_it(lab: Lab, operator: Operator) -> None:
    end = operator.inv("storagebox.access", "--ssh", "off")
    assert (end.returncode, "Backups need it" in end.stderr) == (2, True)
    for option in ("--ssh", "--external"):
        shown = operator.done("storagebox.access", option, "off", "--yes")
        assert f"`inv storagebox.access {option} on`" in shown
        said = operator.inv("backup").stdout
        assert "storagebox.access" in said, said
        assert "backups fail" not in operator.done("storagebox.access", option, "on")
    operator.done("backup")


@pytest.mark.parametrize(
    ("change", "cause", "remedy"),
    [
        ({"port": 1}, "refuses connections", "port 23"),
        ({"directory": "elsewhere"}, "reach another repository only", "storagebox.setup"),
        ({"user": "u100001-sub7"}, "refuses the key", "its own .ssh/authorized_keys"),
        ({"host": "nosuch.invalid"}, "name cannot be resolved", "correct `host`"),
    ],
)
def test_what_the_inventory_says_wrong_of_a_box_is_told(
    operator: Operator, tmp_path: Path, change: dict[str, object], cause: str, remedy: str
) -> None:
    operator = operator.copy(tmp_path / "inventory")
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].update(change))
    end = operator.inv("borg.create", "--app", "shop")
    assert (end.returncode, cause in end.stderr, remedy in end.stderr) == (3, True, True), end.stderr


@pytest.mark.parametrize(
    ("fault", "cause", "remedy"),
    [
        ("full", "the storage is full", "Remove snapshots"),
        ("other_host_key", "host key is not the pinned one", "compare the fingerprint"),
        ("refuse_logins", "refuses the key", "storagebox.access --ssh on"),
    ],
)
def test_what_is_wrong_with_a_box_is_told(lab: Lab, operator: Operator, fault: str, cause: str, remedy: str) -> None:
    getattr(lab.box.faults, fault)()
    try:
        end = operator.inv("borg.create", "--app", "shop")
    finally:
        lab.box.faults.clear()
    assert (end.returncode, cause in end.stderr, remedy in end.stderr) == (3, True, True), end.stderr


def test_a_box_that_snapshots_fill_has_room_again_as_the_message_says(lab: Lab, operator: Operator) -> None:
    """Neither a deletion nor a prune gives room while a snapshot holds what was deleted."""
    old = lab.box.home() / "old"
    old.write_bytes(b"x" * 3_000_000)
    name = operator.done("storagebox.snapshots", "--create").split()[2]
    old.unlink()
    (lab.apps["shop"].files / "more").write_bytes(os.urandom(500_000))
    lab.box.faults.quota(size_of(lab.box.home()) + 3_000_000 + 100_000)
    try:
        end = operator.inv("borg.create", "--app", "shop")
        assert (end.returncode, "the storage is full" in end.stderr, "Remove snapshots" in end.stderr) == (
            3,
            True,
            True,
        )
        operator.done("storagebox.snapshots", "--delete", name, "--yes")
        assert "MB  +" in operator.done("borg.create", "--app", "shop")
    finally:
        lab.box.faults.clear()


def test_a_borg_that_the_box_does_not_have_is_told(operator: Operator, tmp_path: Path) -> None:
    operator = operator.copy(tmp_path / "inventory")
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].update(borg="borg-9"))
    end = operator.inv("borg.list", "--app", "shop")  # the host's key is forced to another one, whatever it asks for
    assert (end.returncode, "borg-1.2 or borg-1.4" in end.stderr) == (3, True), end.stderr


def test_an_eleventh_connection_is_told(lab: Lab, operator: Operator) -> None:
    lab.box.faults.connections(0)
    end = operator.inv("borg.create", "--app", "shop")
    lab.box.faults.clear()
    assert (end.returncode, "10 connections at once" in end.stderr) == (3, True), end.stderr


def test_the_token_is_needed_and_judged(operator: Operator, tmp_path: Path) -> None:
    operator = operator.copy(tmp_path / "inventory")
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].pop("box"))
    assert "on   SSH" in operator.done("storagebox.access")  # found by its account
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].update(user="u9"))
    end = operator.inv("storagebox.access")
    assert (end.returncode, "no box of the account u9" in end.stderr) == (3, True), end
    (tmp_path / "token").write_text("wrong\n")
    operator.change(
        "cloudbackup.yml", lambda values: values["storages"]["box"].update(token={"file": f"{tmp_path}/token"})
    )
    end = operator.inv("storagebox.access")
    assert (end.returncode, "made in the Console" in end.stderr) == (3, True)
    operator.change("cloudbackup.yml", lambda values: values["storages"]["box"].pop("token"))
    end = operator.inv("storagebox.access")
    assert (end.returncode, "token: {env: HCLOUD_TOKEN}" in end.stderr) == (2, True)
