"""Logging in to the emulator: passwords, sub-accounts, `install-ssh-key`, StrictModes, switched-off SSH."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab import keys
from lab.lab import Lab, LabBox, scratch_folder

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


def test_ssh_copy_id_is_told_how_and_then_does_it(box: LabBox, tmp_path: Path) -> None:
    key = tmp_path / "copied"
    keys.make(key, "copied")
    own, home = by_password(box, tmp_path, 1), scratch_folder()  # it makes a socket in there: the path must be short
    words = ("-f", "-i", f"{key}.pub", *own.options()[2:], f"{own.user}@127.0.0.1")  # it knows no -F

    def copy_id(*more: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**own.environment(), "HOME": str(home)}
        return subprocess.run(
            ("ssh-copy-id", *more, *words), capture_output=True, check=False, env=environment, timeout=60
        )

    (home / ".ssh").mkdir()
    hinted = copy_id()
    assert (hinted.returncode, b"ssh-copy-id -p 23 -s" in hinted.stdout) == (1, True), hinted
    succeeded(copy_id("-s"))
    shutil.rmtree(home)
    assert succeeded(replace(own, key=key, password="").ssh("pwd")).stdout == b"/home\n"


class TestPort22:
    """Its own form of keys, and SFTP alone."""

    @pytest.fixture
    def keyed(self, operator: Client, tmp_path: Path) -> Client:
        """Someone with an RSA key, in both forms, on what stands for port 22."""
        key = tmp_path / "rsa"
        words = ("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key))
        subprocess.run(words, check=True)
        operator.box.authorize(keys.public(key))
        return replace(operator, key=key, sftp_port=True)

    def test_files_go_in_and_out_by_sftp_and_scp(self, keyed: Client, data: Path, tmp_path: Path) -> None:
        succeeded(keyed.sftp(f'put "{data}/file 0" sent'))
        succeeded(keyed.scp("BOX:sent", str(tmp_path / "back"), old=False))
        assert (tmp_path / "back").read_bytes() == (data / "file 0").read_bytes()

    def test_there_is_no_shell_and_no_borg(self, keyed: Client, tmp_path: Path) -> None:
        for command in ("pwd", "", "borg-1.4 --version", "install-ssh-key"):
            done = keyed.ssh(command)
            assert (done.returncode, done.stdout) == (1, b"This service allows sftp connections only.\n")
        assert keyed.scp("BOX:.ssh/authorized_keys", str(tmp_path / "stolen")).returncode != 0
        assert keyed.rsync("BOX:.ssh/authorized_keys", str(tmp_path / "stolen")).returncode != 0
        assert not (tmp_path / "stolen").exists()

    def test_an_ed25519_key_and_one_of_the_other_form_are_refused(self, operator: Client, keyed: Client) -> None:
        assert replace(operator, sftp_port=True).sftp("ls").returncode == 255  # ED25519 in both forms
        file = operator.box.home() / ".ssh/authorized_keys"
        file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("ssh-")))
        assert keyed.sftp("ls").returncode == 255
        succeeded(replace(keyed, sftp_port=False).sftp("ls"))

    def test_without_ssh_support_the_password_alone_opens_it(self, box: LabBox, tmp_path: Path) -> None:
        closed = replace(by_password(box, tmp_path, 3), sftp_port=True)
        succeeded(closed.sftp("ls"))
        assert replace(closed, sftp_port=False).sftp("ls").returncode == 255
