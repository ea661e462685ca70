"""Addresses as borg reads them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.inventory.models import App
from tasks.run.session import Session
from tasks.storage.published.storage import Staged, mark
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storage.ssh import SshServer, SshStorage
from tasks.storage.survey import Mark
from tests.means import means

APP = App.model_validate_json(
    '{"name": "shop", "host": "local", "storage": "vault", "max_age": "1d", "compression": "lz4",'
    ' "passphrase": {"env": "X"}, "files": {"paths": ["/srv"]}}'
)


def server(directory: str) -> SshServer:
    config = SshStorage(kind="ssh", host="vault", user="me", directory=directory)
    return SshServer("vault", config, means())


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


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
PUBLISHED = f"""
storages:
  bucket: {{kind: s3, endpoint: "https://s3.example.org", bucket: backups, prefix: ours/, region: fsn1,
           access_key: {{env: ACCESS}}, secret_key: {{env: SECRET}}, staging: /var/lib/cloudbackup}}
  files: {{kind: sftp, host: h, user: u, directory: "my borg", key: /keys/own, host_key: {KEY},
          staging: /var/lib/cloudbackup}}
  home: {{kind: sftp, host: h, user: u, directory: borg, staging: /var/lib/cloudbackup}}
"""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("ACCESS", "key")
    monkeypatch.setenv("SECRET", "secret words")
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(PUBLISHED)
    with Session(load(tmp_path)) as session:
        yield session


def test_what_is_published_lies_below_the_prefix_and_works_in_the_staging_folder(published: Session) -> None:
    bucket, files = published.storage("bucket"), published.storage("files")
    assert isinstance(bucket, Staged)
    assert isinstance(files, Staged)
    assert bucket.url(APP) == "/var/lib/cloudbackup/bucket/shop"
    assert bucket.address(bucket.path(APP)) == "published:backups/ours/shop"
    assert files.address(files.path(APP)) == "published:my borg/shop"  # from the account's home


def test_each_side_reaches_the_storage_with_its_own_key_and_the_pinned_host_key(published: Session) -> None:
    files, home = published.storage("files"), published.storage("home")
    assert isinstance(files, Staged)
    assert isinstance(home, Staged)
    own, hosts = files.settings(Side.OPERATOR, None), files.settings(Side.HOST, APP)
    assert (own["KEY_FILE"], hosts["KEY_FILE"]) == ("/keys/own", "~/.ssh/cloudbackup_shop")
    assert hosts["KNOWN_HOSTS_FILE"] == "/var/lib/cloudbackup/files/.cloudbackup/known_hosts"
    assert hosts["HOST_KEY_ALGORITHMS"] == "ssh-ed25519"
    assert f"'h {KEY}'" in files.first(Side.HOST)
    assert home.settings(Side.HOST, APP)["KNOWN_HOSTS_FILE"] == "~/.ssh/known_hosts"  # never that of anybody


def test_the_keys_of_a_bucket_are_secrets(published: Session) -> None:
    bucket = published.storage("bucket")
    assert isinstance(bucket, Staged)
    assert "secret words" not in str(bucket.settings(Side.HOST, APP))


def test_a_copy_that_is_being_written_or_is_not_what_it_says_has_no_mark() -> None:
    config = hashlib.sha256(b"config").hexdigest()
    segments = {"data/0/3": 20, "data/0/7": 10}
    state = {"published": 7, "run": "abc", "config": config, "publishing": None, "segments": segments}
    there = {**segments, "data/0/1": 5, "config": 6, "records/7": 1}  # an old segment is not yet deleted
    assert mark(json.dumps(state).encode(), b"config", there) == Mark(7, "abc", config)
    for other in ({**state, "publishing": {"run": "x"}}, {**state, "published": None}, {}):
        assert mark(json.dumps(other).encode(), b"config", there) is None
    assert mark(None, b"config", there) is None
    for config_there in (None, b"another"):
        assert mark(json.dumps(state).encode(), config_there, there) is None
    for damaged in ({"data/0/3": 20}, {**there, "data/0/3": 19}, {**there, "data/0/8": 1}):
        assert mark(json.dumps(state).encode(), b"config", damaged) is None
