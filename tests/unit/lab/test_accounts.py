"""Keys of an account: installing them in both forms, and which of them may log in with what."""

from pathlib import Path

import asyncssh
import pytest

from lab import accounts
from lab.accounts import AUTHORIZED_KEYS, Admission


def public_key(comment: str) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
    key.set_comment(comment)
    return key


@pytest.fixture(scope="module")
def key() -> asyncssh.SSHKey:
    return public_key("me@here")


def line(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def test_installs_both_forms_once_with_safe_modes(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    accounts.install_keys(tmp_path, line(key))
    first = (tmp_path / AUTHORIZED_KEYS).read_text()
    accounts.install_keys(tmp_path, line(key) + "\n")

    assert (tmp_path / AUTHORIZED_KEYS).read_text() == first
    assert first.startswith(line(key) + "\n---- BEGIN SSH2 PUBLIC KEY ----\n")
    assert first.endswith("---- END SSH2 PUBLIC KEY ----\n")
    assert (tmp_path / ".ssh").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / AUTHORIZED_KEYS).stat().st_mode & 0o777 == 0o600


def test_takes_the_rfc4716_form_that_ssh_keygen_writes(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    accounts.install_keys(tmp_path, key.export_public_key("rfc4716").decode())

    assert accounts.admit(tmp_path, key, 23) == Admission(None)


def test_adds_the_newline_that_a_file_lacks(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / AUTHORIZED_KEYS).write_text("ssh-ed25519 AAAA other")
    accounts.install_keys(tmp_path, line(key))

    assert (tmp_path / AUTHORIZED_KEYS).read_text().splitlines()[:2] == ["ssh-ed25519 AAAA other", line(key)]


def test_a_forced_key_is_stored_in_no_form_that_would_free_it(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    accounts.install_keys(tmp_path, f'command="borg serve",restrict {line(key)}')

    assert accounts.admit(tmp_path, key, 23) == Admission("borg serve")
    assert "SSH2" not in (tmp_path / AUTHORIZED_KEYS).read_text()


def test_the_first_line_with_a_key_decides(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    broken = 'command="unbalanced ssh-ed25519 AAAA\nno key at all\n# comment\n'
    accounts.install_keys(tmp_path, "ssh-ed25519 AAAA other")
    path = tmp_path / AUTHORIZED_KEYS
    path.write_text(f'{broken}command="borg serve \\"x\\"",restrict {line(key)}\n{line(key)}\n')

    assert accounts.admit(tmp_path, key, 23) == Admission('borg serve "x"')


def test_an_unknown_key_and_a_missing_file_admit_nobody(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    assert accounts.admit(tmp_path, key, 23) is None
    accounts.install_keys(tmp_path, line(public_key("other")))
    assert accounts.admit(tmp_path, key, 23) is None


@pytest.mark.parametrize("place", [".", ".ssh", AUTHORIZED_KEYS])
def test_what_others_can_write_admits_nobody(tmp_path: Path, key: asyncssh.SSHKey, place: str) -> None:
    accounts.install_keys(tmp_path, line(key))
    (tmp_path / place).chmod((tmp_path / place).stat().st_mode | 0o020)

    assert accounts.admit(tmp_path, key, 23) is None


def test_each_port_has_a_form_of_its_own(tmp_path: Path, key: asyncssh.SSHKey) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).convert_to_public()
    accounts.install_keys(tmp_path, line(rsa))
    path = tmp_path / AUTHORIZED_KEYS
    both = path.read_text()
    assert [accounts.admit(tmp_path, rsa, port) for port in (22, 23)] == [Admission(None)] * 2
    path.write_text(line(rsa) + "\n")
    assert [accounts.admit(tmp_path, rsa, port) for port in (22, 23)] == [None, Admission(None)]
    path.write_text(both.removeprefix(line(rsa) + "\n"))
    assert [accounts.admit(tmp_path, rsa, port) for port in (22, 23)] == [Admission(None), None]
    accounts.install_keys(tmp_path, line(key))
    assert [accounts.admit(tmp_path, key, port) for port in (22, 23)] == [None, Admission(None)]  # no ED25519 on 22


@pytest.mark.parametrize(
    ("time", "admitted"), [("20200101", False), ("202001011200Z", False), ("29990101120000", True), ("soon", False)]
)
def test_an_expired_key_admits_nobody(tmp_path: Path, key: asyncssh.SSHKey, time: str, admitted: bool) -> None:
    accounts.install_keys(tmp_path, f'expiry-time="{time}" {line(key)}')

    assert (accounts.admit(tmp_path, key, 23) is not None) is admitted
