"""Apps in containers: found by what a real Podman says of them, saved, proven, and restored in place."""

import json

import yaml

from tasks.remote.ssh import fingerprint
from tests.integration.containers.podman import PASSWORD, Podman
from tests.integration.fleet.support import Operator

COUNT = "SELECT COUNT(*), SUM(id) FROM shop.orders"


def test_a_project_is_found_saved_proven_and_restored(podman: Podman, operator: Operator, way: list[str]) -> None:
    trusted = f"--fingerprint={fingerprint(podman.host.host_key)}"
    with podman.without_mariadb():
        printed = operator.done("app.add", "--project", "shop", *way, trusted)
    assert "behind walls (a container of its own)" in printed
    assert "MariaDB 10.11" in printed
    assert "login as root, by the password in the container's environment" in printed
    assert "2 of 2 proven" in printed
    written = (operator.inventory / "apps/shop.yml").read_text()
    assert PASSWORD not in written
    values = yaml.safe_load(written)
    assert values["container"] == ["shop-db", "shop-web"]
    volumes = "/var/lib/containers/storage/volumes"
    made = ["/srv/shop/compose.yaml", "/srv/shop/.env"]
    assert values["files"]["paths"] == [*made, "/srv/shop/www", f"{volumes}/uploads/_data"]
    assert values["mariadb"]["datadir"] == f"{volumes}/shop-data/_data"
    assert values["mariadb"]["stop"] == ["podman", "stop", "shop-db"]
    assert "1 of 1 app ready" in operator.done("app.check")

    rows = podman.query("shop-db", COUNT)
    podman.query("shop-db", "DELETE FROM shop.orders WHERE id > 10")
    operator.done("restore", "--app", "shop", "--source", "mariadb", "--yes")
    assert podman.query("shop-db", COUNT) == rows
    with podman.without_mariadb():
        operator.done("restore", "--app", "shop", "--source", "mariadb", "--target", "/srv/restored")
    assert (
        podman.inside("sh", "-c", "test -f /srv/restored/shop/orders.ibd && stat -c %U /srv/restored/shop/orders.ibd")
        == "root\n"
    )
    begun = podman.inside("podman", "inspect", "--format={{.State.StartedAt}}", "shop-db", "shop-web").split("\n")
    podman.inside("rm", f"{volumes}/uploads/_data/picture")
    operator.done("restore", "--app", "shop", "--source", "files", "--yes")
    assert podman.inside("podman", "exec", "shop-web", "cat", "/var/uploads/picture") == "picture\n"
    now = podman.inside("podman", "inspect", "--format={{.State.StartedAt}}", "shop-db", "shop-web").split("\n")
    assert (now[0] == begun[0], now[1] == begun[1]) == (True, False)  # only the one whose folders were replaced
    assert operator.inv("app.add", "--app", "shop", "--container", "other").returncode == 2
    operator.done("backup")


def test_a_moment_is_reached_in_place(podman: Podman, operator: Operator, way: list[str]) -> None:
    """The host has no MariaDB: the logs are replayed in a container of the same image."""
    trusted = f"--fingerprint={fingerprint(podman.host.host_key)}"
    with podman.without_mariadb():
        operator.done("app.add", "--app", "db", "--container", "shop-db", "--binlog", *way, trusted)
        podman.query("shop-db", "INSERT INTO shop.orders VALUES (5000)")
        rows = podman.query("shop-db", COUNT)
        operator.done("mariadb.binlog")
        moment = podman.query("shop-db", "SELECT UTC_TIMESTAMP()")
        podman.query("shop-db", "DO SLEEP(1.1); DELETE FROM shop.orders")
        operator.done("mariadb.binlog")
        operator.done("restore", "--app", "db", "--source", "mariadb", "--at", f"{moment}Z", "--yes")
    assert podman.query("shop-db", COUNT) == rows
    assert podman.inside("podman", "ps", "--all", "--format={{.Names}}").split() == ["shop-db", "shop-web"]


def test_volumes_that_no_app_saves_are_listed(podman: Podman, operator: Operator) -> None:
    host = podman.host
    values = {
        "host": "root@127.0.0.1",
        "ssh": {"port": host.port, "key": str(host.key), "host_key": host.host_key},
        "passphrase": {"env": "NONE"},
        "files": {"paths": ["/srv/shop"]},
    }
    (operator.inventory / "apps/www.yml").write_text(yaml.safe_dump(values))
    end = operator.inv("app.find")
    assert end.returncode == 3, end
    lines = end.stdout.splitlines()
    assert [line.split()[1:3] for line in lines[1:3]] == [["shop-db", "shop-data"], ["shop-web", "uploads"]], end
    assert "2 containers on 1 host, 2 volumes that no app saves" in end.stdout
    found = json.loads(operator.inv("app.find", "--format", "json").stdout)["hosts"][0]
    assert [(each["container"], each["project"]) for each in found["uncovered"]] == [
        ("shop-db", "shop"),
        ("shop-web", "shop"),
    ]
    assert "0 volumes that no app saves" in operator.done("app.find", "--ignore", "shop-data", "--ignore", "upl*")


def test_what_is_not_there_is_one_sentence(podman: Podman, operator: Operator, way: list[str]) -> None:
    trusted = (*way, f"--fingerprint={fingerprint(podman.host.host_key)}")
    for words, said in (
        (("--container", "shop-bd"), "there is no container `shop-bd`; did you mean shop-db?"),
        (("--project", "shap", "--app", "shop"), "there is no project `shap`; did you mean shop?"),
        (
            ("--container", "shop-db", "--container", "shop-db; rm -rf /", "--app", "x"),
            "there is no container `shop-db;",
        ),
    ):
        end = operator.inv("app.add", *words, *trusted)
        assert (end.returncode, said in end.stderr) == (3, True), end
        assert "Traceback" not in end.stderr
    assert list((operator.inventory / "apps").iterdir()) == []
