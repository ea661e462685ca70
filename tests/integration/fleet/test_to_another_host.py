"""`restore --to APP`: an app's files onto another app's host, which gets no key and reaches no other repository."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import mariadb, tree
from lab.lab import Lab
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.integration.fleet.support import Operator


@pytest.mark.usefixtures("all_well")
def test_files_come_to_another_apps_host(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    shop, blog = lab.apps["shop"], lab.apps["blog"]
    operator.done("backup", "--app", "shop", "--source", "files")
    wanted = tree.fingerprint(shop.files, excluding_caches=True)
    keys = sorted(path.name for path in (blog.home / ".ssh").iterdir())
    target = tmp_path / "staging"
    words = ("restore", "--app", "shop", "--source", "files", "--to", "blog")
    told = operator.done(*words, "--target", str(target), "--dry-run")
    assert (f"to {target}" in told, target.exists()) == (True, False)
    end = operator.inv(*words, "--target", str(target))
    assert end.returncode in (0, 3), end.stdout + end.stderr  # setuid bits do not come to another machine
    there = target / str(shop.files).lstrip("/")
    assert tree.differences(wanted, tree.fingerprint(there, excluding_caches=True)) == []
    assert sorted(path.name for path in (blog.home / ".ssh").iterdir()) == keys

    file = next(path for path in sorted(shop.files.rglob("*")) if path.is_file() and path.stat().st_size)
    saved = file.read_bytes()
    file.write_bytes(b"broken")
    asked = operator.inv(*words, "--path", str(file))
    assert (asked.returncode, f"Put {file} of shop-files-" in asked.stderr) == (2, True)
    assert "in place on blog's host, " in asked.stderr
    operator.done(*words, "--path", str(file), "--yes")
    assert file.read_bytes() == saved
    (aside,) = file.parent.glob(f"{file.name}.before-restore-*")
    assert aside.read_bytes() == b"broken"
    aside.unlink()

    for wrong, says in (("blgo", "did you mean blog?"), ("blog", "takes files only, or a database beside those there")):
        end = operator.inv("restore", "--app", "shop", "--to", wrong, "--target", str(tmp_path / "no"))
        assert (end.returncode, says in end.stderr) == (2, True), end.stderr


@pytest.mark.usefixtures("all_well")
def test_a_database_comes_beside_those_of_another_apps_server(lab: Lab, operator: Operator) -> None:
    shop, blog = lab.apps["shop"].server, lab.apps["blog"].server
    before = mariadb.query(blog, "SHOW DATABASES"), mariadb.query(blog, "SHOW TABLES FROM blog")
    mariadb.query(blog, "GRANT ALL ON shop.* TO backup@localhost; GRANT ALL ON shop.* TO backup@'127.0.0.1'")
    words = ("restore", "--app", "shop", "--database", "shop", "--to", "blog", "--into", "shop")
    assert operator.inv(*words, "--target", "/srv/x").returncode == 2
    assert operator.inv("restore", "--app", "shop", "--table", "shop.orders", "--to", "blog", "--diff").returncode == 2
    told = operator.done(*words)
    assert "shop is in the database shop" in told
    names = [name for (name,) in mariadb.query(shop, "SHOW TABLES FROM shop")]
    sums = f"CHECKSUM TABLE {', '.join(f'shop.{name}' for name in names)}"
    assert mariadb.query(blog, sums) == mariadb.query(shop, sums)
    again = operator.inv(*words)
    assert (again.returncode, "the database shop is there already" in again.stderr) == (5, True)
    mariadb.query(blog, "DROP DATABASE shop")
    assert (mariadb.query(blog, "SHOW DATABASES"), mariadb.query(blog, "SHOW TABLES FROM blog")) == before


def test_what_is_served_is_that_repository_alone(lab: Lab) -> None:
    with Session(load(lab.inventory)) as session:
        shop, blog = session.inventory.app("shop"), session.inventory.app("blog")
        with session.on_host_of(shop, blog) as served:
            assert archives(served).encryption == "repokey-blake2"
            elsewhere = {**served.environment, "BORG_REPO": session.storage_of(blog).url(blog)}
            elsewhere["BORG_PASSPHRASE"] = session.passphrase(blog)
            with pytest.raises(BorgError) as caught:
                archives(replace(served, environment=elsewhere))
            assert caught.value.msgid == "PathNotAllowed"
