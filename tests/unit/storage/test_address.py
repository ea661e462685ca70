"""Addresses as borg reads them."""

import threading
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.inventory import load
from tasks.inventory.models import App
from tasks.inventory.storages import SshStorage
from tasks.storage.session import Session
from tasks.storage.ssh import SshServer

APP = App.model_validate_json(
    '{"name": "shop", "host": "local", "storage": "vault", "max_age": "1d", "compression": "lz4",'
    ' "passphrase": {"env": "X"}, "files": {"paths": ["/srv"]}}'
)


def server(directory: str) -> SshServer:
    config = SshStorage(kind="ssh", host="vault", user="me", directory=directory)
    return SshServer("vault", config, Path("/keys"), threading.Event())


@pytest.mark.parametrize(
    ("directory", "path"),
    [
        ("backups", "/./backups/shop"),
        ("/srv/borg", "/srv/borg/shop"),
        ("my backups/100% ours: ü#?@", "/./my backups/100% ours: ü#?@/shop"),
        ("a%20b", "/./a%20b/shop"),
    ],
)
def test_an_address_holds_the_directory_as_it_is(directory: str, path: str) -> None:
    assert server(directory).url(APP) == f"ssh://me@vault:22{path}"


@pytest.mark.parametrize("directory", ["a{now}", "a}", "a::b", "/~root/borg"])
def test_a_directory_that_borg_would_read_otherwise_is_refused(directory: str) -> None:
    with pytest.raises(UsageError, match="borg cannot take"):
        server(directory)


def test_the_forced_command_names_the_repository_as_one_word() -> None:
    command = server("my backups").serve_command(APP)
    assert command == "borg serve --append-only --restrict-to-repository 'my backups/shop'"


def test_a_kind_that_is_only_planned_is_told(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(
        "storages: {files: {kind: sftp, host: h, user: u, directory: borg, staging: /var/lib/cloudbackup}}\n"
    )
    with Session(load(tmp_path)) as session, pytest.raises(UsageError, match="kind sftp is planned"):
        session.storage("files")
