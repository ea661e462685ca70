"""`app.kubernetes`: what it prints is what Kubernetes takes, and what a pod can read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.app.manifests import Options
from tasks.app.manifests import stream as printed
from tasks.app.pod_inventory import moved, object_name
from tasks.app.pod_rights import database_pods
from tasks.errors import UsageError
from tasks.storage.registry import load
from tests.unit.examples.objects import check_job, check_pod, check_schema, objects, pods

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5xEpzHBD/ZinafcqfMco3W8ftwR0FcsHXK63tauGJO"
BOX = {"kind": "storagebox", "user": "u1", "directory": "b", "host_key": KEY, "key": "~/.ssh/id", "token": {"env": "T"}}
REMOTE = {
    "host": "root@shop.example.org",
    "ssh": {"port": 2222, "key": "/keys/a key", "host_key": KEY},
    "passphrase": {"command": "pass show 'cloudbackup/shop'"},
    "max_age": "26h",
    "files": {"paths": ["/srv/shop"], "exclude": ["*/cache/*", "on"]},
    "mariadb": {"user": "backup", "password": {"env": "SHOP_PASSWORD"}},
}
LOCAL = {"host": "local", "passphrase": {"file": "~/secrets/shop"}, "files": {"paths": ["/srv/shop", "/etc/shop"]}}
Write = Callable[..., str]


def stream(folder: str, app: str = "shop", **options: Any) -> str:
    """Return the manifests of one app of the inventory in a folder."""
    return printed(load(Path(folder)), app, Options(**options))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes an inventory with one app and returns its folder."""

    def write(app: dict[str, Any], name: str = "shop", **storage: Any) -> str:
        (tmp_path / "apps").mkdir()
        storages = {"box": {**BOX, **storage}, "other": {"kind": "local", "directory": "/backup"}}
        main = {"storages": storages, "defaults": {"storage": "box", "compression": "zstd,3"}, "escrow": "/keys"}
        (tmp_path / "cloudbackup.yml").write_text(yaml.safe_dump(main))
        (tmp_path / f"apps/{name}.yml").write_text(yaml.safe_dump(app))
        return str(tmp_path)

    return write


def by_kind(text: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in objects(text):
        found.setdefault(each["kind"], []).append(each)
    return found


@pytest.mark.parametrize(
    ("app", "options"),
    [
        (REMOTE, {}),
        ({**REMOTE, "storage_key": "agent"}, {}),
        (LOCAL, {"volumes": ("shop-files:/srv/shop", "shop-etc:/etc"), "user": 33}),
        (LOCAL, {"volumes": ("everything:/",), "user": 0}),
        (
            {**LOCAL, "files": None, "mariadb": {"exec": ["kubectl", "-n", "shop", "exec", "-i", "mariadb-0", "--"]}},
            {"volumes": ("v:/x",)},
        ),
        ({**LOCAL, "storage": "other"}, {"volumes": ("a:/srv", "b:/etc", "c:/backup")}),
    ],
)
def test_the_stream_keeps_to_the_schemas_and_to_few_rights(
    write: Write, app: dict[str, Any], options: dict[str, Any]
) -> None:
    folder = write({key: value for key, value in app.items() if value is not None})
    text = stream(folder, **options)
    assert text.startswith("# ")
    rendered = objects(text)
    for each in rendered:
        check_schema(each)
        for pod, container in pods(each):
            check_pod(pod, container, writable="/backup")
            check_job(each)
    names = {each["metadata"]["name"] for each in rendered if each["kind"] == "CronJob"}
    restore = {"cloudbackup-shop-restore"} if app["host"] == "local" else set()
    assert names == {"cloudbackup-shop", "cloudbackup-shop-drill", "cloudbackup-shop-upkeep", *restore}


def test_secrets_are_moved_to_files_and_never_printed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    text = stream(write(REMOTE))
    assert "hunter2" not in text
    assert "Secret" not in by_kind(text)
    for line in (
        "--from-file=shop=<(pass show 'cloudbackup/shop')",
        '--from-literal=shop-mariadb-password="$SHOP_PASSWORD"',
        '--from-file=STORAGE_KEY="$HOME"/.ssh/id',
        "--from-file=HOST_KEY='/keys/a key'",
    ):
        assert f"#     {line}" in text
    # What the pods read is an inventory that loads, with the same meaning.
    pod = tmp_path / "pod"
    (pod / "apps").mkdir(parents=True)
    for each in by_kind(text)["ConfigMap"]:
        for name, content in each["data"].items():
            (pod / ("apps" if name == "shop.yml" else ".") / name).write_text(content)
    after, before = load(pod).app("shop"), load(tmp_path).app("shop")
    changed = {key for key in type(before).model_fields if getattr(after, key) != getattr(before, key)}
    assert changed == {"ssh", "passphrase", "mariadb"}
    assert after.files == before.files
    assert str(after.passphrase.file).endswith("cloudbackup/secrets/shop")
    assert after.mariadb
    assert after.mariadb.password
    assert str(after.mariadb.password.file).endswith("cloudbackup/secrets/shop-mariadb-password")
    assert list(load(pod).storages) == ["box"]


@pytest.mark.parametrize(
    ("app", "storage", "options", "said"),
    [
        ({**REMOTE, "ssh": {"key": "/k"}}, {}, {}, "shop: `host_key` must be pinned"),
        ({**REMOTE, "ssh": {"host_key": KEY}}, {}, {}, "shop: `key` must name a key"),
        (REMOTE, {"host_key": None}, {}, "storage box: `host_key` must be pinned"),
        (LOCAL, {}, {"volumes": ("shop:/srv/shop",)}, "no volume holds /etc/shop"),
        (LOCAL, {}, {"volumes": ("shop/srv/shop",)}, "is not CLAIM:PATH"),
        (REMOTE, {}, {"volumes": ("shop:/srv/shop",)}, "leave --volume out"),
        ({**LOCAL, "mariadb": {}}, {}, {"volumes": ("a:/srv", "b:/etc")}, "no volume holds /var/lib/mysql"),
        (
            {**LOCAL, "mariadb": {"exec": ["kubectl", "exec", "deploy/db"]}},
            {},
            {"volumes": ("a:/",)},
            "must name a pod",
        ),
        (LOCAL, {}, {"app": "shob"}, "did you mean shop?"),
        ({**LOCAL, "storage": "other"}, {}, {"volumes": ("a:/",), "user": 0}, "its storage is a directory"),
    ],
)
def test_what_a_pod_could_not_do_is_refused(
    write: Write, app: dict[str, Any], storage: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    folder = write(app)
    if storage:
        main = Path(folder) / "cloudbackup.yml"
        values = yaml.safe_load(main.read_text())
        del values["storages"]["box"]["host_key"]
        main.write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError) as error:
        stream(folder, **options)
    assert said in str(error.value)


def test_the_pod_is_found_behind_options(write: Write) -> None:
    words = ["kubectl", "exec", "-i", "--namespace", "x", "db-0", "-c", "mariadb", "--"]
    assert database_pods(load(Path(write({**LOCAL, "mariadb": {"exec": words}}))).app("shop")) == ("db-0",)


@pytest.mark.parametrize("name", ["shop", "a.b", "a-b", "a_b", "x" * 64, "0.-"])
def test_a_name_of_kubernetes_is_short_plain_and_of_one_app(name: str) -> None:
    found = object_name(name) + "-restore"
    assert len(found) <= 52
    assert found.replace("-", "").isalnum()
    assert not found.startswith("-")


def test_no_two_apps_share_a_name() -> None:
    names = ["a.b", "a-b", "a_b", "a.-b", "x" * 40, "x" * 41]
    assert len({object_name(name) for name in names}) == len(names)


def test_those_who_are_told_are_told_by_pods_as_well(write: Write, tmp_path: Path) -> None:
    folder = write({**LOCAL, "notify": [{"ping": {"env": "PING"}}]})
    main = yaml.safe_load((tmp_path / "cloudbackup.yml").read_text())
    main["notify"] = [{"url": {"file": "~/secrets/mail"}, "on": "always"}]
    (tmp_path / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    inventory = load(Path(folder))

    files = moved(inventory, ["shop"])

    assert files.apps["shop"]["notify"] == [{"ping": {"file": "~/cloudbackup/secrets/shop-notify-1-ping"}}]
    assert files.storages["notify"] == [{"url": {"file": "~/cloudbackup/secrets/ALL-notify-1-url"}, "on": "always"}]
    assert files.secrets["shop-notify-1-ping"] == '--from-literal=shop-notify-1-ping="$PING"'
    assert files.secrets["ALL-notify-1-url"] == '--from-file=ALL-notify-1-url="$HOME"/secrets/mail'
