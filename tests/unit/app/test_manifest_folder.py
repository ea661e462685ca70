"""`app.kubernetes --output`: a folder for kubectl with all apps, and the metrics of all."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.app import manifest_command
from tasks.app.options import KubernetesOptions
from tasks.errors import UsageError
from tasks.storage.registry import load
from tests.unit.examples.objects import Object, beside, check_job, check_pod, check_schema, objects, pod_security, pods

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5xEpzHBD/ZinafcqfMco3W8ftwR0FcsHXK63tauGJO"
MAIN = {
    "storages": {
        "box": {"kind": "storagebox", "user": "u1", "directory": "b", "host_key": KEY, "key": "~/.ssh/id"},
        "vault": {"kind": "storagebox", "user": "u2", "directory": "b", "host_key": KEY, "key": "~/.ssh/id"},
        "here": {"kind": "local", "directory": "/backup"},
    },
    "defaults": {"storage": "box", "keep": {"daily": 7}},
    "schedule": {"binlog": "5m"},
    "notify": [{"url": {"file": "~/secrets/mail"}}],
}
KUBECTL = ["kubectl", "exec", "-i", "--namespace", "crm-prod", "mariadb-0", "--"]
DUMP = ["kubectl", "exec", "-i", "-n", "users", "pg-0", "--"]
SSH = {"key": "/keys/operator", "host_key": KEY}


def app(host: str, **more: Any) -> dict[str, Any]:
    return {"host": host, "passphrase": {"command": "pass show it"}, **more}


APPS = {
    "shop": app("root@shop", ssh=SSH, files={"paths": ["/srv/shop"]}, storage=["box", "vault"]),
    "blog": app("root@blog", ssh=SSH, files={"paths": ["/srv/blog"]}, notify=[{"ping": {"env": "PING"}}]),
    "crm": app("local", mariadb={"exec": KUBECTL, "password": {"env": "CRM"}, "user": "backup", "binlog": True}),
    "users": app("local", dumps={"users": {"postgresql": {"database": "users", "exec": DUMP}}}),
    "wiki": app("local", files={"paths": ["/srv/wiki"]}),
    "disk": app("local", files={"paths": ["/srv/disk"]}, storage="here"),
}


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    folder = tmp_path / "inventory"
    (folder / "apps").mkdir(parents=True)
    (folder / "cloudbackup.yml").write_text(yaml.safe_dump(MAIN))
    for name, values in APPS.items():
        (folder / f"apps/{name}.yml").write_text(yaml.safe_dump(values))
    return folder


def run(inventory: Path, **options: Any) -> list[str]:
    told: list[str] = []
    manifest_command.run(str(inventory), KubernetesOptions(**options), told.append)
    return told


def written(inventory: Path) -> tuple[Path, str]:
    """Return the folder after a person gave the apps with volumes what they need, and all others nothing."""
    place = inventory.parent / "cluster"
    with pytest.raises(UsageError) as error:
        run(inventory, all_=True, output=str(place))
    volume = ("wiki-files:/srv/wiki",)
    run(inventory, app="wiki", volume=volume, beside=("app=wiki",), user=33, namespace="wiki", output=str(place))
    volumes = ("disk-files:/srv/disk", "disk-backup:/backup")
    run(inventory, app="disk", volume=volumes, namespace="disk", output=str(place))
    return place, str(error.value)


def everything(place: Path) -> list[Object]:
    listed = yaml.safe_load((place / "kustomization.yaml").read_text())["resources"]
    return [each for name in listed for each in objects((place / name).read_text())]


def test_every_app_has_a_file_and_what_needs_a_volume_is_named(inventory: Path) -> None:
    place, lacking = written(inventory)
    assert "wiki is `local`" in lacking
    assert "give --volume CLAIM:/srv/wiki" in lacking
    assert "shop" not in lacking
    assert yaml.safe_load((place / "kustomization.yaml").read_text())["resources"] == [
        *(f"apps/{name}.yaml" for name in sorted(APPS)),
        "metrics.yaml",
    ]
    rendered = everything(place)
    for each in rendered:
        check_schema(each)
        for pod, container in pods(each):
            check_pod(pod, container, writable="/backup")
            if each["kind"] == "CronJob":
                check_job(each)
    keys = [(each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]) for each in rendered]
    assert len(set(keys)) == len(keys)
    spaces = {
        each["metadata"]["labels"]["app.kubernetes.io/instance"]: each["metadata"]["namespace"] for each in rendered
    }
    assert spaces == {
        "cloudbackup-shop": "cloudbackup",
        "cloudbackup-blog": "cloudbackup",
        "cloudbackup-crm": "crm-prod",  # where its `exec` leads
        "cloudbackup-users": "users",
        "cloudbackup-wiki": "wiki",
        "cloudbackup-disk": "disk",
        "cloudbackup-metrics": "cloudbackup",
    }


def test_all_leaves_the_files_that_a_command_of_their_own_wrote(inventory: Path) -> None:
    place, _ = written(inventory)
    before = {file: file.read_text() for file in place.rglob("*.yaml")}
    told = run(inventory, all_=True, output=str(place))
    assert {file: file.read_text() for file in place.rglob("*.yaml")} == before
    assert [line for line in told if "wiki.yaml stays" in line]
    first = before[place / "apps/wiki.yaml"].partition("\n")[0]
    words = f"--app wiki --volume wiki-files:/srv/wiki --beside app=wiki --user 33 --namespace wiki --output {place}"
    assert f"`inv app.kubernetes {words}`" in first
    (inventory / "apps/wiki.yml").unlink()
    told = run(inventory, all_=True, output=str(place))
    assert [line for line in told if "wiki.yaml is of no app of the inventory" in line]
    assert "wiki" not in (place / "kustomization.yaml").read_text()


def test_jobs_are_spread_and_only_those_that_enter_a_pod_may(inventory: Path) -> None:
    place, _ = written(inventory)
    jobs = {each["metadata"]["name"]: each for each in everything(place) if each["kind"] == "CronJob"}
    minutes = {name: jobs[f"cloudbackup-{name}"]["spec"]["schedule"].split()[0] for name in APPS}
    assert len(set(minutes.values())) > len(APPS) / 2
    tokens = {name for name, each in jobs.items() for pod, _ in pods(each) if pod["automountServiceAccountToken"]}
    assert tokens == {
        "cloudbackup-crm",
        "cloudbackup-crm-binlog",
        "cloudbackup-users",
        "cloudbackup-users-drill",  # a dump of PostgreSQL is judged by its own pod's tools
    }
    assert jobs["cloudbackup-crm-binlog"]["spec"]["schedule"] == "*/5 * * * *"
    assert "cloudbackup-shop-binlog" not in jobs
    suspended = {name for name, each in jobs.items() if each["spec"].get("suspend")}
    assert suspended == {f"cloudbackup-{name}-restore" for name in ("crm", "users", "wiki", "disk")}
    ((wiki, _),) = pods(jobs["cloudbackup-wiki"])
    assert beside(wiki) == [{"app": "wiki"}]
    assert all(not beside(pod) for name in ("-drill", "-upkeep") for pod, _ in pods(jobs[f"cloudbackup-wiki{name}"]))
    levels = {
        pod_security(pod, container) for name in jobs for pod, container in pods(jobs[name]) if name not in suspended
    }
    assert levels == {"restricted"}


def test_the_metrics_read_all_storages_and_reach_no_host(inventory: Path, tmp_path: Path) -> None:
    place, _ = written(inventory)
    text = (place / "metrics.yaml").read_text()
    assert "/keys/operator" not in text
    assert "CRM" not in text
    assert "mail" not in text
    pod = tmp_path / "pod"
    (pod / "apps").mkdir(parents=True)
    for each in objects(text):
        for name, content in each.get("data", {}).items():
            (pod / ("." if name == "cloudbackup.yml" else "apps") / name).write_text(content)
    read = load(pod)
    assert set(read.apps) == {"shop", "blog", "crm", "users", "wiki"}  # not `disk`, whose storage is a volume
    assert read.app("shop").storages == ("box", "vault")
    for name in ("box", "vault"):
        assert f"--from-file=STORAGE_KEY_{name}=" in text
        assert str(read.storages[name].model_dump()["key"]).endswith(f".ssh/STORAGE_KEY_{name}")


def test_an_app_with_two_storages_is_saved_to_both(inventory: Path) -> None:
    place, _ = written(inventory)
    maps = [each["data"] for each in objects((place / "apps/shop.yaml").read_text()) if each["kind"] == "ConfigMap"]
    texts = {name: yaml.safe_load(text) for data in maps for name, text in data.items()}
    assert texts["shop.yml"]["storage"] == ["box", "vault"]
    assert set(texts["cloudbackup.yml"]["storages"]) == {"box", "vault"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give either --app NAME or --all"),
        ({"app": "shop", "all_": True}, "give either --app NAME or --all"),
        ({"all_": True}, "--all needs --output"),
        ({"all_": True, "output": "x", "volume": ("a:/b",)}, "--volume is of one app"),
        ({"app": "wiki", "volume": ("a:/srv/wiki",), "beside": ("wiki",)}, "--beside wiki is not a label"),
        ({"app": "shop", "namespace": "Shop"}, "--namespace Shop is not a namespace"),
        ({"app": "shop", "scratch": 0}, "--scratch 0 is too small"),
    ],
)
def test_options_that_do_not_go_together_are_refused(inventory: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        run(inventory, **options)
    assert said in str(error.value)


def test_a_folder_of_somebody_elses_is_left_alone(inventory: Path) -> None:
    (inventory / "kustomization.yaml").write_text("resources: []\n")
    with pytest.raises(UsageError) as error:
        run(inventory, all_=True, output=str(inventory))
    assert "was not written by this task" in str(error.value)
    assert (inventory / "kustomization.yaml").read_text() == "resources: []\n"
