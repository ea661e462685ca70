"""Inventories that load, and what they then say."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.inventory.models import Keep, MariaDB, SecretReference
from tasks.storage.registry import load
from tasks.storage.s3 import S3Storage
from tasks.storage.storagebox import StorageBox
from tests.unit.inventory.support import APP, EXAMPLE, MAIN, write


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/operator")


def test_the_example_says_what_the_documentation_describes() -> None:
    inventory = load(EXAMPLE)

    assert list(inventory.apps) == ["blog", "shop"]
    shop = inventory.apps["shop"]
    assert (shop.name, shop.host, shop.storage, shop.max_age) == (
        "shop",
        "root@shop.example.org",
        "box",
        timedelta(hours=26),
    )
    assert shop.keep == Keep(daily=7, weekly=4, monthly=6)
    assert shop.sources == ("files", "mariadb", "binlog")
    assert shop.ssh.key == Path("/home/operator/.ssh/id_ed25519")
    assert shop.passphrase == SecretReference(command=("pass", "show", "cloudbackup/shop"))
    assert shop.before == (("shop-maintenance", "on"),)
    assert shop.mariadb is not None
    assert shop.mariadb.exec == ("docker", "exec", "-i", "shop-db")
    assert shop.mariadb.stop == ("systemctl", "stop", "mariadb")
    blog = inventory.apps["blog"]
    assert (blog.sources, blog.storage_key, blog.mariadb) == (
        ("files", "mariadb"),
        "host",
        MariaDB(defaults_file="/root/.my.cnf"),
    )
    box, bucket = inventory.storages["box"], inventory.storages["bucket"]
    assert isinstance(box, StorageBox)
    assert (box.host, box.port, box.borg, box.box) == ("u123456.your-storagebox.de", 23, "borg-1.4", 1234)
    assert isinstance(bucket, S3Storage)
    assert bucket.secret_key.command == ("pass", "show", "s3")
    assert inventory.escrow == Path("/home/operator/cloudbackup/keys")
    assert inventory.secrets.directory == Path("/home/operator/cloudbackup/secrets")


def test_a_minimal_inventory_has_sensible_defaults(tmp_path: Path) -> None:
    inventory = load(write(tmp_path))

    app = inventory.app("shop")
    assert (app.host, app.storage, app.max_age, app.keep, app.compression) == (
        "local",
        "disk",  # the only one there is
        timedelta(hours=26),
        None,  # nothing is pruned that nobody asked for
        "lz4",
    )
    assert app.files is not None
    assert app.files.inner_mounts is None  # what is mounted inside a path is told until somebody decides
    assert app.files.exclude_caches
    assert inventory.escrow == Path("/home/operator/cloudbackup/keys")
    assert inventory.cache == Path("/home/operator/.cache/cloudbackup")


def test_an_app_overrides_the_defaults(tmp_path: Path) -> None:
    main = MAIN + "  other: {kind: local, directory: /other}\ndefaults: {storage: disk, max_age: 2d, keep: {last: 3}}\n"
    own = "storage: other\nmax_age: 90m\nkeep: {within: 2d}\ncompression: auto,zstd,6\n"

    inventory = load(write(tmp_path, main, blog=APP, shop=APP + own))

    shop, blog = inventory.apps["shop"], inventory.apps["blog"]
    assert (shop.storage, shop.max_age, shop.compression) == ("other", timedelta(minutes=90), "auto,zstd,6")
    assert shop.keep == Keep(within=timedelta(days=2))
    assert (blog.storage, blog.max_age, blog.keep) == ("disk", timedelta(days=2), Keep(last=3))


def test_awkward_names_are_kept_as_they_are(tmp_path: Path) -> None:
    paths = ["/srv/a b", "/srv/it's", '/srv/"x"', "/srv/$(id)", "/srv/-x", "/srv/ü", "/srv/`x`"]
    text = "host: local\npassphrase: {env: SHOP}\nfiles:\n  paths:\n" + "".join(
        f"  - '{path.replace(chr(39), chr(39) * 2)}'\n" for path in paths
    )

    files = load(write(tmp_path, shop=text)).apps["shop"].files

    assert files is not None
    assert files.paths == tuple(paths)


def test_commands_are_words_however_they_are_written(tmp_path: Path) -> None:
    text = APP + (
        "mariadb:\n  stop: [sh, -c, 'a && b']\n  start: run 'two words'\n"
        "before: [first one, [second, 'with space']]\nafter: only one\n"
    )

    app = load(write(tmp_path, shop=text)).apps["shop"]

    assert app.mariadb is not None
    assert app.mariadb.stop == ("sh", "-c", "a && b")
    assert app.mariadb.start == ("run", "two words")
    assert app.before == (("first", "one"), ("second", "with space"))
    assert app.after == (("only", "one"),)


def test_words_that_yaml_1_1_would_turn_into_something_else(tmp_path: Path) -> None:
    main = "storages:\n  on: {kind: local, directory: /on}\n  off: {kind: local, directory: /off}\n"
    text = APP + "storage: off\nmariadb: {user: no, verify: [yes, 12:30:00, 2026-11-22]}\n"

    inventory = load(write(tmp_path, main, shop=text))

    assert list(inventory.storages) == ["on", "off"]
    app = inventory.apps["shop"]
    assert app.storage == "off"
    assert app.mariadb is not None
    assert (app.mariadb.user, app.mariadb.verify) == ("no", ("yes", "12:30:00", "2026-11-22"))


def test_anchors_spare_repetition_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfhost: local\npassphrase: &p {env: SHOP}\nmariadb: {password: *p}\n"

    app = load(write(tmp_path, shop=text)).apps["shop"]

    assert app.mariadb is not None
    assert app.mariadb.password == app.passphrase


def test_nothing_of_it_can_be_changed(tmp_path: Path) -> None:
    inventory = load(write(tmp_path))

    with pytest.raises(ValidationError):
        inventory.apps["shop"].host = "elsewhere"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        inventory.escrow = tmp_path  # type: ignore[misc]
    with pytest.raises(TypeError):
        inventory.apps["other"] = inventory.apps["shop"]  # type: ignore[index]
    hash(inventory.apps["shop"])  # frozen all the way down


def test_other_files_beside_the_apps_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("README.md", ".shop.yml.swp", ".hidden.yml", "shop.yml~"):
        (tmp_path / "apps" / name).write_text("not: [an app")

    assert list(load(tmp_path).apps) == ["shop"]
