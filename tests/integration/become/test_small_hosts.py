"""The rest of what is done on a host as another user, and on hosts whose tools are those of busybox."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb, s3, tree
from lab.lab import Lab
from tests.integration.become.conftest import RULE
from tests.integration.fleet.support import Operator
from tests.integration.remote.ordinary import LOGIN, Ordinary

COUNT = "SELECT COUNT(*), SUM(id) FROM shop.orders"
USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def tools(there: Ordinary) -> Iterator[Path]:
    """Return a folder that is first on root's PATH."""
    folder = there.folder / "tools"
    folder.mkdir()
    there.sudoers(f'Defaults secure_path="{folder}:{USUAL}"\n{RULE}')
    yield folder
    shutil.rmtree(folder)
    there.sudoers(RULE)


def test_busybox_is_enough(lab: Lab, operator: Operator, tools: Path, there: Ordinary) -> None:
    """Every command that busybox has is its own: no GNU ps, stat, find, df."""
    box = shutil.which("busybox")
    assert box is not None
    for name in subprocess.run((box, "--list"), capture_output=True, text=True, check=True).stdout.split():
        (tools / name).symlink_to(box)
    shop = lab.apps["shop"]
    assert "1 of 1 app ready" in operator.done("app.check")
    operator.done("backup")
    operator.done("verify")
    saved = tree.fingerprint(shop.files, excluding_caches=True)
    rows = mariadb.query(shop.server, COUNT)
    mariadb.query(shop.server, "INSERT INTO shop.journal (what) VALUES ('later')")
    operator.done("mariadb.binlog")
    moment = mariadb.query(shop.server, "SELECT UTC_TIMESTAMP()")[0][0]
    mariadb.query(
        shop.server, "DO SLEEP(1.1); DELETE FROM shop.journal; DELETE FROM shop.items; DELETE FROM shop.orders"
    )
    operator.done("mariadb.binlog")
    shop.change()
    operator.done("restore", "--app", "shop", "--source", "mariadb", "--at", f"{moment}Z", "--yes")
    assert mariadb.query(shop.server, COUNT) == rows
    assert mariadb.query(shop.server, "SELECT COUNT(*) FROM shop.journal WHERE what = 'later'") == [["1"]]
    operator.done("restore", "--app", "shop", "--source", "files", "--yes")
    assert tree.differences(tree.fingerprint(shop.files, excluding_caches=True), saved) == []
    folder = there.folder / "from-busybox"
    operator.done("restore", "--app", "shop", "--target", str(folder))
    operator.done("borg.break-lock", "--app", "shop", "--yes")


def test_copies_are_published_by_root(operator: Operator, tools: Path, there: Ordinary, tmp_path: Path) -> None:
    """What is saved lies in root's folder, and is published with root's key."""
    (tools / "rclone").symlink_to(s3.rclone())
    key = there.root / ".ssh/cloudbackup_copied"
    key.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(there.key, key)
    published = operator.copy(tmp_path / "inventory")
    (published.inventory / "apps/shop.yml").rename(published.inventory / "apps/copied.yml")
    copy = {
        "kind": "sftp", "host": "127.0.0.1", "port": there.port, "user": LOGIN, "directory": str(there.home / "copies"),
        "key": str(there.key), "host_key": there.host_key, "staging": str(there.root / "staging"),
    }  # fmt: skip
    published.change("cloudbackup.yml", lambda values: values["storages"].update(copy=copy))
    published.change("apps/copied.yml", lambda values: values.update(storage="copy", files={"paths": [there.secret]}))
    published.change("apps/copied.yml", lambda values: values.pop("mariadb"))
    published.done("borg.init")
    assert "1 of 1 app ready" in published.done("app.check")
    published.done("backup")
    published.done("verify")
    assert published.report()["copied", "files"]["status"] == "ok"
    folder = tmp_path / "from-the-copy"
    published.done("restore", "--app", "copied", "--target", str(folder))
    assert (folder / there.secret.lstrip("/") / "file").read_text() == "only root reads this"
    published.done("prune", "--yes")


def test_a_host_that_does_not_reach_its_copy_is_told(
    operator: Operator, tools: Path, there: Ordinary, tmp_path: Path
) -> None:
    (tools / "rclone").symlink_to(s3.rclone())
    away = operator.copy(tmp_path / "inventory")
    keys = {"access_key": {"env": "NONE"}, "secret_key": {"env": "NONE"}, "staging": str(there.root / "staging")}
    bucket = {"kind": "s3", "endpoint": "http://127.0.0.1:1", "bucket": "bucket", **keys}
    away.change("cloudbackup.yml", lambda values: values["storages"].update(bucket=bucket))
    away.change("apps/shop.yml", lambda values: values.update(storage="bucket"))
    end = away.inv("app.check")
    assert end.returncode == 4
    assert f"{LOGIN}@127.0.0.1 cannot reach the storage bucket at 127.0.0.1, port 1: Connection refused" in end.stdout
