"""authorized_keys over SFTP: changes at the same moment lose nothing, and nobody is locked out by what is left over."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tasks.errors import AppError
from tasks.remote.files import FilesError
from tasks.remote.ssh import SshHost
from tasks.storagebox import keys_file
from tasks.storagebox.authorized_keys import PublicKey, entries, forced, with_forced_command
from tasks.storagebox.keys_file import LOCK, rewrite_keys
from tests.integration.remote.conftest import Sshd

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAA"


def key(number: int) -> PublicKey:
    return PublicKey("ssh-ed25519", f"{BLOB}{number:08d}", f"app {number}")


def admitted(new: PublicKey, text: str) -> str:
    return with_forced_command(text, new, "borg serve")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    made = tmp_path / ".ssh" / "authorized_keys"
    made.write_text("# of the person\nssh-ed25519 AAAA of-the-person\n")
    return made


@pytest.fixture
def hosts(sshd: Sshd) -> Iterator[list[SshHost]]:
    made = [SshHost(sshd.target()) for _ in range(6)]
    yield made
    for each in made:
        each.close()


def test_many_at_once_lose_no_key_and_leave_nothing_else(hosts: list[SshHost], file: Path) -> None:
    before = file.read_text()

    def add(number: int) -> None:
        files = hosts[number].files()
        for turn in range(3):
            assert rewrite_keys(files, partial(admitted, key(number * 10 + turn)), str(file))

    threads = [threading.Thread(target=add, args=[number]) for number in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert file.read_text().startswith(before)
    assert len(entries(file.read_text())) == 3 * len(hosts) + 1
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_nobody_holds_is_taken_over(
    hosts: list[SshHost], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_file, "STALE", 0.5)
    Path(f"{file}{LOCK}").write_text('{"id": "of a killed one"}')
    assert rewrite_keys(hosts[0].files(), lambda text: with_forced_command(text, key(1), "x"), str(file))
    assert forced(key(1), "x") in file.read_text()
    assert not Path(f"{file}{LOCK}").exists()


def test_what_changes_without_the_lock_is_seen_by_reading_again(hosts: list[SshHost], file: Path) -> None:
    files = hosts[0].files()
    replace = files.replace
    overwritten: list[int] = []

    def replace_and_lose(path: str, data: bytes, mode: int = 0o600) -> None:
        old = file.read_bytes()
        replace(path, data, mode)
        if not overwritten:
            overwritten.append(file.write_bytes(old + b"ssh-ed25519 BBBB of-another-program\n"))

    files.replace = replace_and_lose  # type: ignore[method-assign]
    assert rewrite_keys(files, lambda text: with_forced_command(text, key(1), "x"), str(file))
    assert forced(key(1), "x") in file.read_text()
    assert "of-another-program" in file.read_text()


def test_nothing_is_locked_where_nothing_changes(hosts: list[SshHost], file: Path) -> None:
    Path(f"{file}{LOCK}").write_text("held")
    assert not rewrite_keys(hosts[0].files(), lambda text: text, str(file))


def test_a_folder_that_cannot_be_written_and_a_file_that_is_none_are_told(hosts: list[SshHost], file: Path) -> None:
    with pytest.raises(FilesError):
        rewrite_keys(hosts[0].files(), lambda text: text + "x", "/proc/self/authorized_keys")
    file.write_bytes(b"x" * (keys_file.MOST + 1))
    with pytest.raises(AppError, match="larger than 1 MiB"):
        rewrite_keys(hosts[0].files(), lambda text: text + "x", str(file))


def test_bytes_that_are_no_text_stay_as_they_are(hosts: list[SshHost], file: Path) -> None:
    file.write_bytes(b"# caf\xe9\n")
    rewrite_keys(hosts[0].files(), lambda text: with_forced_command(text, key(1), "x"), str(file))
    assert file.read_bytes().startswith(b"# caf\xe9\n")
