"""Borg over a real ssh to a real sshd: greetings are no warnings, addresses of IPv6 work, an old ssh serves."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.init import init
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.remote.host import LocalHost
from tasks.storage.repository import Repository
from tasks.storage.ssh import SshServer, SshStorage
from tests.integration.borg.conftest import MakeRepository
from tests.integration.remote.servers import Server, Ssh, server
from tests.integration.remote.test_borgs_ssh import OLD
from tests.means import means

NOISE = "#!/bin/sh\necho 'Welcome. All is logged.' >&2\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with something to save."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "one").write_bytes(b"1" * 5000)
    return tmp_path / "shop"


def over(make_repository: MakeRepository, at: Server, borg: Path, folder: Path, host: str) -> Repository:
    """Return a repository on a storage of the kind ssh, as this machine reaches it."""
    config = SshStorage(
        kind="ssh", host=host, user="root", port=at.port, directory=str(folder), host_key=at.host_key, key=at.key
    )
    storage = SshServer("store", config, means())
    app: Any = SimpleNamespace(name="shop")
    words = storage.ssh_words(str(at.key), LocalHost().facts().ssh)
    return make_repository(url=storage.url(app), BORG_RSH=shlex.join(words), BORG_REMOTE_PATH=str(borg))


def go_through(repository: Repository, shop: Path, tmp_path: Path) -> None:
    """Make a repository, save into it, list it, check it: nothing is warned of."""
    init(repository, tmp_path / "escrow")
    made = create(repository, FilesOptions("shop-files-2026-11-22T03-00-00", (str(shop),)))
    assert made.warnings == ()
    assert [each.name for each in archives(repository).archives] == ["shop-files-2026-11-22T03-00-00"]
    assert check(repository, CheckOptions()).problems == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "[::1]"])
def test_a_storage_with_a_banner_and_start_files_that_print(
    make_repository: MakeRepository, borg: Path, shop: Path, tmp_path: Path, address: str
) -> None:
    greeting, noisy = tmp_path / "banner", tmp_path / "noisy"
    greeting.write_text("AUTHORISED USE ONLY!!!\n")
    noisy.write_text(NOISE)
    noisy.chmod(0o755)
    with server(tmp_path / "sshd", address.strip("[]"), Banner=greeting, ForceCommand=noisy) as at:
        go_through(over(make_repository, at, borg, tmp_path / "store", address), shop, tmp_path)


def test_an_ssh_of_7_4_serves(
    make_repository: MakeRepository, borg: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = Ssh(tmp_path)  # its folder is the one that this test's borg is in
    ssh.wrap(OLD)
    with server(tmp_path / "sshd") as at:
        go_through(over(make_repository, at, borg, tmp_path / "store", at.address), shop, tmp_path)


def test_a_key_that_others_may_read_is_told_as_that(
    make_repository: MakeRepository, borg: Path, tmp_path: Path
) -> None:
    with server(tmp_path / "sshd") as at:
        at.key.chmod(0o660)
        with pytest.raises(BorgError, match=r"may be read by others \(mode 0660\)") as caught:
            archives(over(make_repository, at, borg, tmp_path / "store", at.address))
    assert "chmod 600" in caught.value.remedy
