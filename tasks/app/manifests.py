"""`app.kubernetes`: an app of the inventory as manifests for Kubernetes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.app import app_jobs, claims
from tasks.app.app_jobs import USER
from tasks.app.pod_inventory import Moved, moved, object_name
from tasks.app.pod_rights import database_pods, rights
from tasks.app.pods import Plan, Values
from tasks.errors import UsageError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App

ROOM = 10  # GiB for a drill's copy
LABEL = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"


@dataclass(frozen=True)
class Options:
    """`volumes` are "CLAIM:PATH"; `user` is the numeric user id of the pods; `schedule` empty: a minute of its own.

    `beside` are labels, "NAME=VALUE", of the app's pods, on whose node its volumes are; `room` is in GiB, for drills.
    """

    image: str = "cloudbackup"
    schedule: str = ""
    volumes: Sequence[str] = ()
    user: int = USER
    namespace: str = ""
    beside: Sequence[str] = ()
    room: int = ROOM


def stream(inventory: Inventory, name: str, options: Options, made_by: str = "inv app.kubernetes") -> str:
    """Return a YAML stream: a header that lists the Secrets to create, then all objects. Raises UsageError."""
    app = inventory.app(name)
    pods = database_pods(app)
    directories = [inventory.storages[copy.storage].mounted for copy in app.copies]
    directory = next((each for each in directories if each is not None), None)
    plan = Plan(
        name=object_name(app.name),
        app=app.name,
        image=options.image,
        user=options.user,
        mounts=claims.mounts(app, directory, options.volumes, options.user),
        account=bool(pods),
        labels={"app.kubernetes.io/name": "cloudbackup", "app.kubernetes.io/instance": object_name(app.name)},
        namespace=options.namespace,
        beside=_labels(options.beside),
    )
    files = moved(inventory, [app.name])
    binlog = inventory.schedule.binlog
    objects = [
        *inventory_maps(plan, files),
        account(plan),
        *rights(plan, pods),
        closed(plan),
        *app_jobs.jobs(plan, app, options.schedule, binlog, options.room),
    ]
    return written(_header(plan, app, files, made_by), objects)


def written(header: Sequence[str], objects: Sequence[Values]) -> str:
    """Return a header as comments, and objects as a YAML stream."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in "\n".join(header).splitlines())
    return comments + "".join(f"---\n{_yaml(each)}" for each in objects)


def _yaml(values: Mapping[str, Any]) -> str:
    """Return YAML that YAML 1.1 and 1.2 parsers read alike; a text of several lines becomes one block."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        # Text that looks like a number in either version is quoted; PyYAML only knows the numbers of 1.1.
        style = "|" if "\n" in value else '"' if re.match(r"[-+.]?[0-9]", value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]  # each object is read by itself
    return yaml.dump(dict(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _labels(given: Sequence[str]) -> dict[str, str]:
    """Return "NAME=VALUE" texts as labels. Raises UsageError."""
    for text in given:
        if not re.fullmatch(rf"({LABEL}/)?{LABEL}={LABEL}", text):
            raise UsageError(f"--beside {text[:80]} is not a label NAME=VALUE", "such as --beside app=shop")
    return dict(text.split("=", 1) for text in given)


def inventory_maps(plan: Plan, files: Moved) -> list[Values]:
    """Return the ConfigMaps with the inventory."""

    def config_map(name: str, data: Mapping[str, Mapping[str, Any]]) -> Values:
        texts = {file: _yaml(values) for file, values in data.items()}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": plan.metadata(f"{plan.name}-{name}"),
            "data": texts,
        }

    return [
        config_map("storages", {"cloudbackup.yml": files.storages}),
        config_map("apps", {f"{app}.yml": values for app, values in files.apps.items()}),
    ]


def account(plan: Plan) -> Values:
    """Return the service account; pods that need its token ask for it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": plan.metadata(plan.name),
        "automountServiceAccountToken": False,
    }


def closed(plan: Plan, ingress: Sequence[Values] = ()) -> Values:
    """Return the policy that lets nothing connect to the pods but `ingress`."""
    spec: Values = {"podSelector": {"matchLabels": dict(plan.labels)}, "policyTypes": ["Ingress"]}
    if ingress:
        spec["ingress"] = list(ingress)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": plan.metadata(plan.name),
        "spec": spec,
    }


def secrets(plan: Plan, files: Moved) -> list[str]:
    """Return the commands that make the Secrets, as lines for bash."""
    lines = []
    where = f" --namespace {plan.namespace}" if plan.namespace else ""
    for name, values in (("ssh", files.ssh), ("secrets", files.secrets)):
        parts = [f"kubectl create secret generic {plan.name}-{name}{where}", *values.values()]
        lines += [f"    {part}{' ' + chr(92) if part is not parts[-1] else ''}" for part in parts]
    return lines


def _header(plan: Plan, app: App, files: Moved, made_by: str) -> list[str]:
    lines = [
        f"The app {plan.app} in Kubernetes, from the inventory by `{made_by}`. Before `kubectl apply`:",
        f"- make its repository (`inv storagebox.setup`, `inv borg.init --app {plan.app}`) on your own machine;",
        f"- push the image {plan.image} (Dockerfile) to where the cluster finds it;",
        *([f"- `kubectl create namespace {plan.namespace}`, if it is not there;"] if plan.namespace else []),
        "- make the Secrets in the same namespace, with bash; they are not in this stream, which may be kept in git:",
        "",
        *secrets(plan, files),
    ]
    if plan.mounts and not plan.beside:
        lines += [
            "",
            "A ReadWriteOnce volume can only be mounted on the node of the pod that has it. Give a label of the app's",
            "pods, `--beside NAME=VALUE`, and these pods run there; without it they may wait for the volume in vain.",
        ]
    if app.is_local:
        lines += [
            "",
            f"To restore, make a claim {plan.name}-restored with room for all of it, then",
            f"`kubectl create job --from=cronjob/{plan.name}-restore {plan.name}-restore-1`.",
        ]
    return [*lines, "", "`~` in the inventory is the pod's /home/cloudbackup. docs/containers.md tells the rest."]
