"""Logging in to the emulator: passwords, sub-accounts, `install-ssh-key`, StrictModes, switched-off SSH."""

from dataclasses import replace
from pathlib import Path

from tasks.lab import keys
from tasks.lab.lab import Lab, LabBox

from .conftest import ACCOUNTS
from .support import Client, succeeded


def by_password(box: LabBox, folder: Path, number: int) -> Client:
    account = ACCOUNTS[number]
    return Client(box, folder, account.name, password=account.password)


def test_the_password_opens_an_account_and_a_wrong_one_does_not(box: LabBox, tmp_path: Path) -> None:
    client = by_password(box, tmp_path, 0)

    assert succeeded(client.ssh("pwd")).stdout == b"/home\n"
    assert b"Permission denied" in replace(client, password="wrong").ssh("pwd").stderr


def test_install_ssh_key_over_the_password(box: LabBox, tmp_path: Path) -> None:
    key = tmp_path / "new"
    keys.make(key, "new key")
    installer = by_password(box, tmp_path, 1)
    for _ in range(2):
        succeeded(installer.ssh("install-ssh-key", keys.public(key).encode()))
    text = (box.home("u100001-sub1") / ".ssh/authorized_keys").read_text()

    assert text.count(keys.public(key)) == 1
    assert text.count("BEGIN SSH2 PUBLIC KEY") == 1
    succeeded(Client(box, tmp_path, "u100001-sub1", key).ssh("pwd"))


def test_a_sub_account_has_its_own_keys_and_sees_its_folder_alone(operator: Client, box: LabBox) -> None:
    (box.home() / "of-main").write_text("main")
    (box.home("u100001-sub1") / "of-sub").write_text("sub")
    sub = Client(box, operator.folder, "u100001-sub1", operator.key)

    assert b"Permission denied" in sub.ssh("ls").stderr
    sub = sub.with_new_key("sub")
    assert succeeded(sub.ssh("ls")).stdout == b"of-sub\n"
    assert sub.ssh("cat ../of-main").returncode != 0
    assert succeeded(operator.ssh("cat sub1/of-sub")).stdout == b"sub"
    assert Client(box, operator.folder, operator.user, sub.key).ssh("ls").returncode == 255


def test_an_account_without_ssh_support_lets_nobody_in(operator: Client, box: LabBox) -> None:
    client = Client(box, operator.folder, "u100001-sub3").with_new_key("key")

    assert b"Permission denied" in client.ssh("pwd").stderr
    assert b"Permission denied" in by_password(box, operator.folder, 3).ssh("pwd").stderr


def test_a_home_that_others_can_write_refuses_keys_but_not_the_password(operator: Client, box: LabBox) -> None:
    box.home().chmod(0o775)
    try:
        assert b"Permission denied" in operator.ssh("pwd").stderr
        succeeded(by_password(box, operator.folder, 0).ssh("pwd"))
    finally:
        box.home().chmod(0o755)


def test_an_unknown_account_is_refused(operator: Client, box_lab: Lab, box: LabBox) -> None:
    client = Client(box, operator.folder, "u999999", box_lab.operator_key)

    assert b"Permission denied" in client.ssh("pwd").stderr


def test_a_password_login_is_not_forced_by_a_key_offered_before(operator: Client, box: LabBox) -> None:
    forced = operator.with_new_key("forced", 'command="borg-1.4 serve",restrict')
    own = by_password(box, operator.folder, 0)

    assert succeeded(own.ssh("pwd")).stdout == b"/home\n"
    assert b"/home" not in forced.ssh("pwd").stdout
