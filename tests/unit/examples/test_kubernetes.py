"""The examples for Kubernetes, as files and as `kubectl kustomize` renders them."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tasks.storage.registry import load
from tests.unit.examples import rendering
from tests.unit.examples.objects import (
    CHECKOUT,
    KUBERNETES,
    Object,
    beside,
    check_job,
    check_pod,
    check_schema,
    objects,
    pod_security,
    pods,
)

MANIFESTS = sorted(file for file in KUBERNETES.rglob("*.yaml") if file.name != "kustomization.yaml")


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: str(file.relative_to(KUBERNETES)))
def test_a_manifest_keeps_to_the_schemas_and_to_few_rights(file: Path) -> None:
    for each in objects(file.read_text()):
        check_schema(each)
        for pod, container in pods(each):
            check_pod(pod, container)
            if each["kind"] in ("Job", "CronJob"):
                check_job(each)


def test_the_schemas_see_a_wrong_key() -> None:
    wrong = objects((KUBERNETES / "files/cronjob.yaml").read_text())[0]
    wrong["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["argz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        check_schema(wrong)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("servicemonitor", "honorLabels: true", "honourLabels: true"),
        ("servicemonitor", "interval: 60s", "interval: 60 seconds"),
        ("prometheusrule", "for: 5m", "four: 5m"),
        ("prometheusrule", "severity: critical", "severity: 1"),
    ],
)
def test_the_operators_schemas_see_a_wrong_key_and_a_wrong_value(kind: str, right: str, wrong: str) -> None:
    text = (KUBERNETES / f"metrics/prometheus-operator/{kind}.yaml").read_text()
    assert right in text
    (each,) = objects(text.replace(right, wrong, 1))
    with pytest.raises(jsonschema.ValidationError):
        check_schema(each)


@pytest.mark.parametrize("place", rendering.PLACES)
def test_the_kept_renderings_are_made_from_these_files(place: str) -> None:
    first = rendering.kept(place).splitlines()[0]
    assert first == f"# made from {rendering.sources()}", "run: python -m tests.unit.examples.rendering"


@pytest.mark.parametrize("place", rendering.PLACES)
def test_a_rendering_is_whole(place: str) -> None:
    rendered = objects(rendering.kept(place))
    names = {(each["kind"], each["metadata"]["name"]) for each in rendered}
    assert len(names) == len(rendered)
    for each in rendered:
        check_schema(each)
        for pod, container in pods(each):
            check_pod(pod, container)
            assert ("ServiceAccount", pod["serviceAccountName"]) in names
            maps = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
            assert len(maps) == 2
            assert {("ConfigMap", name) for name in maps} <= names


@pytest.mark.parametrize("place", ["shop", "blog"])
def test_pods_that_mount_an_apps_volume_run_beside_the_pod_that_has_it(place: str) -> None:
    """A ReadWriteOnce claim is mounted on one node: elsewhere a pod would wait until the job's deadline, every night."""
    for each in objects(rendering.kept(place)):
        for pod, _ in pods(each):
            data = [volume for volume in pod["volumes"] if volume["name"].startswith("data")]
            assert len(beside(pod)) == len(data), each["metadata"]["name"]


@pytest.mark.parametrize("place", rendering.PLACES)
def test_nothing_connects_to_the_pods_but_prometheus_to_the_metrics(place: str) -> None:
    rendered = objects(rendering.kept(place))
    policies = {each["metadata"]["name"]: each["spec"] for each in rendered if each["kind"] == "NetworkPolicy"}
    assert policies["cloudbackup"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policies["cloudbackup"]
    chosen = policies["cloudbackup"]["podSelector"]["matchLabels"].items()
    served = policies["cloudbackup-metrics"]["podSelector"]["matchLabels"].items()
    for each in rendered:
        if each["kind"] in ("CronJob", "Deployment"):
            labels = each["spec"].get("jobTemplate", each)["spec"]["template"]["metadata"]["labels"].items()
            assert chosen <= labels
            assert (served <= labels) == (each["kind"] == "Deployment")


def test_apps_begin_at_minutes_of_their_own() -> None:
    """Of a box that takes ten connections, and of the node's disk."""
    times = [
        each["spec"]["schedule"]
        for place in ("shop", "blog", "fleet")
        for each in objects(rendering.kept(place))
        if each["kind"] == "CronJob" and not each["spec"].get("suspend")
    ]
    minutes = [time.split()[0] for time in times]
    assert len(times) == 9
    assert len(set(minutes)) == len(minutes)
    assert "0" not in minutes


def test_the_readme_says_which_pods_keep_to_which_level_of_pod_security() -> None:
    levels = {
        (place, each["metadata"]["name"]): pod_security(pod, container)
        for place in rendering.PLACES
        for each in objects(rendering.kept(place))
        for pod, container in pods(each)
    }
    assert {name: level for name, level in levels.items() if level != "restricted"} == {
        ("shop", "cloudbackup-restore"): "baseline",
        ("blog", "cloudbackup-restore"): "baseline",
        ("blog", "cloudbackup-files"): "privileged",
    }
    text = (KUBERNETES / "README.md").read_text()
    assert "`restricted`" in text
    assert "`baseline`" in text
    assert "`privileged`" in text


@pytest.mark.parametrize("app", ["shop", "blog"])
def test_an_overlay_mounts_what_its_inventory_names(app: str) -> None:
    inventory = load(KUBERNETES / "overlays" / app / "inventory")
    found = inventory.app(app)
    assert found.files
    assert found.is_local
    rendered = {each["metadata"]["name"]: each for each in objects(rendering.kept(app))}
    ((_, container),) = pods(rendered["cloudbackup-files"])
    data = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"]
    assert data == list(found.files.paths)
    maps = [each["data"] for each in rendered.values() if each["kind"] == "ConfigMap"]
    texts = {name: text for values in maps for name, text in values.items()}
    folder = KUBERNETES / "overlays" / app / "inventory"
    assert texts == {
        "cloudbackup.yml": (folder / "cloudbackup.yml").read_text(),
        f"{app}.yml": (folder / f"apps/{app}.yml").read_text(),
    }


def test_the_right_to_enter_a_pod_is_for_the_pod_that_the_inventory_names() -> None:
    app = load(KUBERNETES / "overlays/shop/inventory").app("shop")
    assert app.mariadb
    rendered: dict[tuple[str, str], Object] = {
        (each["kind"], each["metadata"]["name"]): each for each in objects(rendering.kept("shop"))
    }
    rules = rendered["Role", "cloudbackup-mysql"]["rules"]
    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in rules] == [
        (["pods"], [app.mariadb.exec[3]], ["get"]),
        (["pods/exec"], [app.mariadb.exec[3]], ["create", "get"]),
    ]
    allowed = {
        name for (kind, name), each in rendered.items() for pod, _ in pods(each) if pod["automountServiceAccountToken"]
    }
    assert allowed == {"cloudbackup-mysql"}


@pytest.mark.parametrize(
    "folder", sorted(file.parent for file in (CHECKOUT / "examples").rglob("cloudbackup.yml")), ids=str
)
def test_every_inventory_of_the_examples_loads(folder: Path) -> None:
    inventory = load(folder)
    assert inventory.apps
    for file in (folder / "cloudbackup.yml", *(folder / "apps").iterdir()):
        schema = file.read_text().splitlines()[0].partition("$schema=")[2]
        assert json.loads((file.parent / schema).read_text())["$schema"]
        assert yaml.safe_load(file.read_text())


def test_the_operators_rules_are_those_of_prometheus() -> None:
    rules = yaml.safe_load((CHECKOUT / "examples/prometheus/cloudbackup.rules.yml").read_text())
    folder = KUBERNETES / "metrics/prometheus-operator"
    assert yaml.safe_load((folder / "prometheusrule.yaml").read_text())["spec"] == rules
    # One of the rules asks for the job by its name.
    (endpoint,) = yaml.safe_load((folder / "servicemonitor.yaml").read_text())["spec"]["endpoints"]
    assert {"targetLabel": "job", "replacement": "cloudbackup"} in endpoint["relabelings"]
    service = yaml.safe_load((KUBERNETES / "metrics/service.yaml").read_text())
    (port,) = service["spec"]["ports"]
    assert port["name"] == endpoint["port"]
    (deployment,) = objects((KUBERNETES / "metrics/deployment.yaml").read_text())
    ((_, container),) = pods(deployment)
    assert str(port["port"]) in container["args"]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("place", ["fleet", "fleet-operator"])
def test_whoever_looks_for_the_metrics_finds_where_they_are_served(place: str) -> None:
    """By the pod's annotations, and by the operator's ServiceMonitor through the Service."""
    rendered = {(each["kind"], each["metadata"]["name"]): each for each in objects(rendering.kept(place))}
    template = rendered["Deployment", "cloudbackup-metrics"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    arguments = container["args"]
    served = arguments[arguments.index("--port") + 1]
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": served,
        "prometheus.io/path": "/metrics",
    }
    # A Prometheus that goes by both would scrape it twice.
    assert template["metadata"].get("annotations") == (annotations if place == "fleet" else None)
    assert arguments[arguments.index("--host") + 1] == "0.0.0.0"  # noqa: S104  # others than the pod ask
    found = [each for (kind, _), each in rendered.items() if kind in ("ServiceMonitor", "PrometheusRule")]
    assert len(found) == (2 if place == "fleet-operator" else 0)
    for each in found:
        if each["kind"] == "ServiceMonitor":
            service = rendered["Service", "cloudbackup-metrics"]
            assert each["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert each["metadata"]["namespace"] == service["metadata"]["namespace"]
            (port,) = service["spec"]["ports"]
            (named,) = container["ports"]
            assert (port["targetPort"], named["containerPort"]) == (named["name"], int(served))
