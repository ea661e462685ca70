"""All that is done on a host is done as another user: the login alone can do none of it."""

from pathlib import Path

from lab import mariadb, tree
from lab.lab import Lab
from tests.integration.fleet.support import Operator
from tests.integration.remote.ordinary import LOGIN, PASSWORD, UID, Ordinary


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
    assert "1 of 1 apps ready" in checked
    assert f"{LOGIN}@127.0.0.1 as root" in checked
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
