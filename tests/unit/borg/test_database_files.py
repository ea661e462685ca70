"""What is said of a database's files among an app's, and when nothing is."""

from pathlib import Path

import pytest
import yaml

from tasks.borg.paths import Walked
from tasks.inventory.models import App
from tasks.sources.database_files import findings
from tasks.storage.registry import load

MAIN = "storages: {disk: {kind: local, directory: /backup}}\ndefaults: {storage: disk}\n"
APP = "host: local\npassphrase: {env: X}\nfiles: {paths: [/srv]}\n"
FOUND = {"SQLite": "/srv/shop/app.db", "MariaDB": "/srv/my", "PostgreSQL": "/srv/pg", "Redis": "/srv/dump.rdb"}


def app_of(folder: Path, text: str) -> App:
    (folder / "apps").mkdir()
    (folder / "cloudbackup.yml").write_text(MAIN)
    (folder / "apps" / "shop.yml").write_text(APP + text)
    return load(folder).apps["shop"]


def walked(*products: str) -> Walked:
    return Walked(databases=[(each, FOUND[each]) for each in products], databases_count=len(products))


@pytest.mark.parametrize(
    ("product", "text"),
    [
        ("SQLite", "dumps: {db: {sqlite: {path: /srv/shop/app.db}}}\n"),
        ("MariaDB", "mariadb: {}\n"),
        ("PostgreSQL", "dumps: {db: {postgresql: {database: shop}}}\n"),
        ("Redis", "dumps: {db: {command: [redis-cli, --rdb, /dev/stdout]}}\n"),
    ],
)
def test_silent_where_a_source_saves_them(tmp_path: Path, product: str, text: str) -> None:
    assert list(findings(app_of(tmp_path, text), walked(product))) == []


@pytest.mark.parametrize("product", FOUND)
def test_the_lines_that_save_them_are_an_inventorys(tmp_path: Path, product: str) -> None:
    """The YAML of the remedy, added to the app's file, is read, and there is nothing to say any more."""
    app = app_of(tmp_path, "")
    ((level, text, remedy),) = findings(app, walked(product))
    assert (level, text) == ("warning", f"files of a database of {product}: {FOUND[product]}")
    source, patterns = (part.split("`")[0] for part in remedy.split("own, `")[1].split("out, `"))
    exclude = yaml.safe_load(remedy.split("out, `")[1].split("`")[0])["exclude"]
    assert exclude[0] in (f"pf:{FOUND[product]}", f"pp:{FOUND[product]}")
    assert patterns
    (tmp_path / "apps" / "shop.yml").write_text(f"{APP}{source}\n".replace("[/srv]", f"[/srv], exclude: {exclude}"))
    mended = load(tmp_path).apps["shop"]
    assert list(findings(mended, walked(product))) == []


def test_names_of_several_are_different(tmp_path: Path) -> None:
    paths = ["/srv/a/db.sqlite3", "/srv/b/db.sqlite3", "/srv/9.db", "/srv/files.db", "/srv/Ä.db"]
    found = Walked(databases=[("SQLite", path) for path in paths], databases_count=7)
    one, more = findings(app_of(tmp_path, ""), found)
    assert '{db: {sqlite: {path: "/srv/a/db.sqlite3"}}, db2: {sqlite: {path: "/srv/b/db.sqlite3"}}, db_9: ' in one[2]
    assert more[1] == "2 more files of databases"
