"""The report of all apps in Kubernetes: a Deployment that serves the page and the metrics, from one namespace."""

from collections.abc import Sequence

from tasks.app.app_jobs import USER
from tasks.app.manifests import account, closed, inventory_maps, secrets, written
from tasks.app.pod_inventory import moved
from tasks.app.pods import Plan, Run, Values, pod
from tasks.inventory.inventory import Inventory

NAME, SERVICE, PORT = "cloudbackup", "cloudbackup-metrics", 9190
INTERVAL = 300  # seconds from one report to the next


def readable(inventory: Inventory) -> list[str]:
    """Return the apps whose storages a pod reaches that mounts no volume."""
    return [
        app.name
        for app in inventory.apps.values()
        if not app.is_local or all(inventory.storages[copy.storage].mounted is None for copy in app.copies)
    ]


def stream(inventory: Inventory, apps: Sequence[str], image: str, namespace: str, monitoring: str) -> str:
    """Return a YAML stream; `monitoring` is the namespace that may ask for the metrics. Raises UsageError."""
    plan = Plan(
        name=NAME,
        app="",
        image=image,
        user=USER,
        labels={"app.kubernetes.io/name": SERVICE, "app.kubernetes.io/instance": SERVICE},
        namespace=namespace,
    )
    files = moved(inventory, apps, reads=True)
    asking = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": monitoring}}}
    objects = [
        *inventory_maps(plan, files),
        account(plan),
        closed(plan, [{"from": [asking], "ports": [{"port": "http"}]}]),
        _deployment(plan),
        _service(plan),
    ]
    header = [
        "The page and the metrics of all apps, by `inv app.kubernetes --all`: the Service's port 9190, for",
        f"the namespace {monitoring} (--monitoring). For yourself:",
        f"`kubectl --namespace {namespace} port-forward deployment/{SERVICE} {PORT}`.",
        f"Before `kubectl apply`, `kubectl create namespace {namespace}` and make the Secrets, with bash. They open",
        "all repositories: let nobody else into this namespace.",
        "",
        *secrets(plan, files),
    ]
    return written(header, objects)


def _deployment(plan: Plan) -> Values:
    words = ["report.serve", "--host", "0.0.0.0", "--port", str(PORT), "--interval", str(INTERVAL), "--name", SERVICE]  # noqa: S104
    spec = pod(plan, Run(SERVICE, "", words))
    container = spec["containers"][0]
    container["ports"] = [{"name": "http", "containerPort": PORT}]
    container["readinessProbe"] = {"httpGet": {"path": "/-/ready", "port": "http"}}
    container["livenessProbe"] = {
        "httpGet": {"path": "/-/healthy", "port": "http"},
        "periodSeconds": 30,
        "failureThreshold": 4,
    }
    annotations = {"scrape": "true", "port": str(PORT), "path": "/metrics"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": plan.metadata(SERVICE),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(plan.labels)},
            "template": {
                "metadata": {
                    "labels": dict(plan.labels),
                    "annotations": {f"prometheus.io/{key}": value for key, value in annotations.items()},
                },
                "spec": spec,
            },
        },
    }


def _service(plan: Plan) -> Values:
    port = {"name": "http", "port": PORT, "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": plan.metadata(SERVICE),
        "spec": {"selector": dict(plan.labels), "ports": [port]},
    }
