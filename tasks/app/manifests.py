"""`app.kubernetes`: an app of the inventory as manifests for Kubernetes."""

import posixpath
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.app.pod_inventory import Moved, moved, object_name
from tasks.app.pods import Mount, Plan, Values, cron_job
from tasks.errors import UsageError
from tasks.inventory.models import App
from tasks.storage.registry import load

USER = 10001  # the image's user id
SCRATCH = "/scratch"
VALUED = ("-n", "--namespace", "-c", "--container", "--context", "--kubeconfig", "-s", "--server")  # kubectl's options


@dataclass(frozen=True)
class Options:
    """`volumes` are "CLAIM:PATH"; `user` is the numeric user id of the pods; `schedule` empty: a minute of its own."""

    app: str
    image: str = "cloudbackup"
    schedule: str = ""
    volumes: Sequence[str] = ()
    user: int = USER


def stream(folder: str, options: Options) -> str:
    """Return a YAML stream: a header that lists the Secrets to create, then all objects. Raises UsageError."""
    inventory = load(Path(folder))
    app = inventory.app(options.app)
    pod = database_pod(app)
    plan = Plan(
        name=object_name(app.name),
        app=app.name,
        image=options.image,
        user=options.user,
        mounts=_mounts(app, inventory.storages[app.storage].mounted, options.volumes, options.user),
        account=pod is not None,
        labels={"app.kubernetes.io/name": "cloudbackup", "app.kubernetes.io/instance": object_name(app.name)},
    )
    files = moved(inventory, app)
    objects = [*_inventory(plan, files), _account(plan), *_rights(plan, pod), *_jobs(plan, app, options)]
    return _header(plan, files, options) + "".join(f"---\n{_yaml(each)}" for each in objects)


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
    return yaml.dump(dict(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)


def database_pod(app: App) -> str | None:
    """Return the pod that `exec` enters with kubectl, None without kubectl. Raises UsageError if it names no pod."""
    if not app.is_local or not app.mariadb or app.mariadb.exec[:1] != ("kubectl",):
        return None
    words = iter(app.mariadb.exec[1:])
    plain = []
    for word in words:
        if word in VALUED:
            next(words, None)
        elif not word.startswith("-"):
            plain.append(word)
    if plain[:1] == ["exec"] and plain[1:] and "/" not in plain[1]:
        return plain[1]
    raise UsageError(
        f"{app.name}: `exec` must name a pod, such as mariadb-0 of a StatefulSet", "rights go by that name"
    )


def _mounts(app: App, directory: str | None, given: Sequence[str], user: int) -> list[Mount]:
    """Return the claims to mount; `directory` is the storage's directory, if it has one.

    Raises UsageError if a local path of the inventory is in none of them.
    """
    mounts = []
    for text in given:
        claim, _, path = text.partition(":")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", claim) or not path.startswith("/"):
            raise UsageError(f"--volume {text} is not CLAIM:PATH", "such as --volume shop-files:/srv/shop")
        path = posixpath.normpath(path)
        mounts.append(Mount(claim, path, writable=directory is not None and _inside(directory, path)))
    if not app.is_local:
        if mounts:
            raise UsageError(f"{app.name} is on {app.host}: its pods mount no volume of it", "leave --volume out")
        return []
    if directory is not None and user == 0:
        raise UsageError(
            f"{app.name}: its storage is a directory, in which root would write what nobody else may read",
            "give --user the number of whom the directory belongs to",
        )
    lacking = [path for path in _needed(app, directory) if not any(_inside(path, mount.path) for mount in mounts)]
    if lacking:
        raise UsageError(
            f"{app.name} is `local`, to a pod as well, and no volume holds {', '.join(lacking)}",
            "; ".join(f"give --volume CLAIM:{path}" for path in lacking),
        )
    return mounts


def _needed(app: App, directory: str | None) -> list[str]:
    needed = list(app.files.paths) if app.files else []
    if app.mariadb and not app.mariadb.exec:
        needed.append(app.mariadb.datadir or "/var/lib/mysql")
    return [*needed, *([directory] if directory else [])]


def _inside(path: str, folder: str) -> bool:
    return posixpath.commonpath((path, folder)) == folder


def _inventory(plan: Plan, files: Moved) -> list[Values]:
    def config_map(name: str, file: str, values: Mapping[str, Any]) -> Values:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{plan.name}-{name}", "labels": dict(plan.labels)},
            "data": {file: _yaml(values)},
        }

    return [
        config_map("storages", "cloudbackup.yml", files.storages),
        config_map("apps", f"{plan.app}.yml", files.app),
    ]


def _account(plan: Plan) -> Values:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": plan.name, "labels": dict(plan.labels)},
        "automountServiceAccountToken": False,
    }


def _rights(plan: Plan, pod: str | None) -> list[Values]:
    """Return the permission to exec into one pod, if it is needed."""
    if pod is None:
        return []
    group, metadata = "rbac.authorization.k8s.io", {"name": plan.name, "labels": dict(plan.labels)}
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": [pod], "verbs": ["get"]},
        # kubectl 1.30 and later uses WebSocket, a GET; before that, and from Kubernetes 1.35 on, it is create.
        {"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": [pod], "verbs": ["create", "get"]},
    ]
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": plan.name},
            "subjects": [{"kind": "ServiceAccount", "name": plan.name}],
        },
    ]


def _jobs(plan: Plan, app: App, options: Options) -> list[Values]:
    scratch = SCRATCH if app.is_local and app.mariadb else ""
    # The pod's inventory has this app alone. Named by --app, it would fail while it is paused.
    # A pod may not create namespaces: a restored server is confined by Landlock and seccomp, or, if the node has
    # neither, by its container alone.
    drill = ["verify", *(["--scratch", scratch, "--trust-archive"] if scratch else [])]
    # A drill only reads the storage. It never runs as root, which would have to switch users for the private server.
    driller = replace(plan, user=plan.user or USER, mounts=[mount for mount in plan.mounts if mount.writable])
    return [
        cron_job(plan, plan.name, options.schedule or f"{_minute(app)} 3 * * *", ["backup"]),
        cron_job(driller, f"{plan.name}-drill", f"{_minute(app)} 5 * * 0", drill, scratch),
    ]


def _minute(app: App) -> int:
    """Return a minute that goes by the app's name, so that many apps do not begin at once: a box takes ten logins."""
    return zlib.crc32(app.name.encode()) % 60


def _header(plan: Plan, files: Moved, options: Options) -> str:
    lines = [
        f"The app {plan.app} in Kubernetes, from the inventory by `inv app.kubernetes`. Before `kubectl apply`:",
        f"- make its repository (`inv storagebox.setup`, `inv borg.init --app {plan.app}`) on your own machine;",
        f"- push the image {options.image} (Dockerfile) to where the cluster finds it;",
        "- make the Secrets in the same namespace, with bash; they are not in this stream, which may be kept in git:",
        "",
    ]
    for name, values in (("ssh", files.ssh), ("secrets", files.secrets)):
        parts = [f"kubectl create secret generic {plan.name}-{name}", *values.values()]
        lines += [f"    {part}{' ' + chr(92) if part is not parts[-1] else ''}" for part in parts]
    lines += ["", "`~` in the inventory is the pod's /home/cloudbackup. docs/containers.md tells the rest."]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
