"""All that is done on a host is done as another user: the login alone can do none of it."""

from pathlib import Path

import yaml

from lab import mariadb, tree
from lab.lab import Lab
from tasks.remote.ssh import fingerprint
from tests.integration.become.conftest import RULE
from tests.integration.fleet.support import Operator
from tests.integration.remote.ordinary import LOGIN, OPEN, PASSWORD, UID, Ordinary


def test_the_login_alone_reads_nothing(lab: Lab, there: Ordinary, operator: Operator, tmp_path: Path) -> None:
    alone = operator.copy(tmp_path / "inventory")
    alone.change("apps/shop.yml", lambda values: values.pop("become"))
    end = alone.inv("app.check")
    assert end.returncode == 4, end
    assert f"{lab.apps['shop'].files} cannot be read" in end.stdout, end
    assert "`become: sudo` in the app's file" in end.stdout, end


def test_all_verbs(lab: Lab, there: Ordinary, operator: Operator, tmp_path: Path) -> None:
    shop = lab.apps["shop"]
    checked = operator.done("app.check")
    assert "1 of 1 app ready" in checked
    assert f"{LOGIN}@127.0.0.1 as root" in checked
    assert "at most 50 MB/s at " in checked
    assert "(00:00-24:00)" in checked
    saved = tree.fingerprint(shop.files, excluding_caches=True)
    rows = mariadb.query(shop.server, "SELECT COUNT(*), SUM(id) FROM shop.orders")
    operator.done("backup")
    assert [(there.root / name).read_text() for name in ("before", "after")] == ["root\n", "root\n"]
    operator.done("verify")

    folder = there.folder / "restored"
    operator.done("restore", "--app", "shop", "--source", "files", "--target", str(folder))
    back = folder / str(shop.files).lstrip("/")
    assert tree.differences(tree.fingerprint(back, excluding_caches=True), saved) == []

    shop.change()
    mariadb.query(shop.server, "DELETE FROM shop.orders")
    operator.done("restore", "--app", "shop", "--yes")
    assert tree.differences(tree.fingerprint(shop.files, excluding_caches=True), saved) == []
    assert mariadb.query(shop.server, "SELECT COUNT(*), SUM(id) FROM shop.orders") == rows

    operator.done("borg.break-lock", "--app", "shop", "--yes")
    operator.done("check")
    report = operator.report()
    assert {row["status"] for row in report.values()} == {"ok"}, report


def test_nothing_secret_stays_there(lab: Lab, there: Ordinary, operator: Operator) -> None:
    operator.done("backup", "--source", "files")
    passphrase = (lab.folder / "operator/secrets/shop").read_text().strip()
    log = there.sudo_log
    assert "COMMAND=/usr/bin/bash" in log.replace("\n    ", " ")
    assert passphrase not in log
    assert PASSWORD not in log
    own = [path for path in there.home.rglob("*") if path.is_file()]
    assert own == []
    assert not [path for path in there.root.rglob("*") if path.lstat().st_uid == UID]


def test_adding_an_app_names_the_way(lab: Lab, there: Ordinary, operator: Operator, tmp_path: Path) -> None:
    """The login may read nothing; sudo lets it, and the app that is added by that name is proven."""
    there.sudoers(OPEN)
    new = operator.copy(tmp_path / "inventory")
    (new.inventory / "apps/shop.yml").unlink()
    way = ["--host", f"{LOGIN}@127.0.0.1", "--ssh-port", str(there.port), "--key", str(there.key)]
    words = ["app.add", "--app=blog", *way, f"--fingerprint={fingerprint(there.host_key)}", "--files", there.secret]
    end = new.inv(*words)
    assert end.returncode == 3, end
    assert "cannot be read" in end.stderr
    assert "may become root by sudo without a password: `--become sudo`" in end.stderr
    assert not (new.inventory / "apps/blog.yml").exists()

    printed = new.done(*words, "--become=sudo")
    assert "1 of 1 proven" in printed
    assert yaml.safe_load((new.inventory / "apps/blog.yml").read_text())["become"] == "sudo"
    end = new.inv("app.add", "--app=blog", "--become=doas")
    assert (end.returncode, "another --become" in end.stderr) == (2, True), end
    there.sudoers(RULE)


def test_a_key_served_by_the_operator_reaches_root(there: Ordinary, operator: Operator, tmp_path: Path) -> None:
    there.sudoers(RULE)
    served = operator.copy(tmp_path / "inventory")
    served.change("apps/shop.yml", lambda values: values.update(storage_key="agent"))
    served.done("storagebox.setup", "--yes")
    served.done("backup", "--source", "files")
    assert served.report()["shop", "files"]["status"] == "ok"
    operator.done("storagebox.setup", "--yes")


def test_a_directory_of_the_host_is_roots(there: Ordinary, operator: Operator, tmp_path: Path) -> None:
    """A storage of the kind `local` is a folder of the host, in which the login may not look."""
    disk = there.folder / "root" / "disk"
    local = operator.copy(tmp_path / "inventory")
    local.change(
        "cloudbackup.yml", lambda values: values["storages"].update(disk={"kind": "local", "directory": str(disk)})
    )
    local.change("apps/shop.yml", lambda values: values.update(storage="disk", files={"paths": [there.secret]}))
    local.change("apps/shop.yml", lambda values: values.pop("mariadb"))
    disk.mkdir(mode=0o700)
    local.done("borg.init")
    local.done("backup")
    local.done("verify")
    local.done("prune", "--yes")
    assert local.report()["shop", "files"]["status"] == "ok"
    assert "1 of 1 app ready" in local.done("app.check")
    folder = there.folder / "from-disk"
    local.done("restore", "--app", "shop", "--target", str(folder))
    assert (folder / there.secret.lstrip("/") / "file").read_text() == "only root reads this"
    local.done("borg.break-lock", "--app", "shop", "--yes")
