"""The parts of a Kubernetes pod: cloudbackup's image with an inventory, secrets and volumes, and few permissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.app.pod_inventory import HOME

Values = dict[str, Any]
GRACE = 60  # seconds for a stopped run to terminate its processes
LONGEST = 6 * 3600  # seconds before a run is terminated


@dataclass(frozen=True)
class Mount:
    """A PersistentVolumeClaim of the namespace, mounted in the pod at `path`."""

    claim: str
    path: str
    writable: bool = False


@dataclass(frozen=True)
class Plan:
    """What all pods of one app share. `name` is the prefix of all objects, `user` the numeric user id of the pod."""

    name: str
    app: str
    image: str
    user: int
    mounts: Sequence[Mount] = ()
    account: bool = False  # whether the pod may use its service account, as kubectl does
    labels: Mapping[str, str] = field(default_factory=dict)


def cron_job(plan: Plan, name: str, schedule: str, arguments: Sequence[str], scratch: str = "") -> Values:
    """Return a CronJob that runs one task. `scratch` is a folder in the pod that may grow large."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": dict(plan.labels)},
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {"spec": _job(plan, arguments, scratch)},
        },
    }


def _job(plan: Plan, arguments: Sequence[str], scratch: str) -> Values:
    # A wrong inventory (2) and a refusal (5) would only repeat.
    hopeless = {"containerName": "cloudbackup", "operator": "In", "values": [2, 5]}
    return {
        "backoffLimit": 1,
        "activeDeadlineSeconds": LONGEST,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": hopeless}]},
        "template": {"metadata": {"labels": dict(plan.labels)}, "spec": _pod(plan, arguments, scratch)},
    }


def _pod(plan: Plan, arguments: Sequence[str], scratch: str) -> Values:
    volumes, mounts = _volumes(plan, scratch)
    capabilities: Values = {"drop": ["ALL"]}
    who: Values = {"runAsNonRoot": True, "runAsUser": plan.user}
    if plan.user == 0:
        # To read other users' files; and ssh, as root, sets its groups before it checks a pinned host key.
        capabilities["add"] = ["DAC_READ_SEARCH", "SETGID"]
        who = {"runAsUser": 0}
    return {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": plan.account,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": {**who, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "cloudbackup",
                "image": plan.image,
                "args": list(arguments),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": capabilities,
                },
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _volumes(plan: Plan, scratch: str) -> tuple[list[Values], list[Values]]:
    """Return the pod's volumes and the mounts of its container."""
    # ssh accepts a private key owned by its user only if nobody else can read it.
    mode = 0o400 if plan.user == 0 else 0o444
    volumes: list[Values] = [{"name": "home", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    mounts: list[Values] = [{"name": "home", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    for name, place, part in (
        ("storages", "/inventory/cloudbackup.yml", "cloudbackup.yml"),
        ("apps", "/inventory/apps", ""),
    ):
        volumes.append({"name": name, "configMap": {"name": f"{plan.name}-{name}"}})
        mounts.append({"name": name, "mountPath": place, **({"subPath": part} if part else {}), "readOnly": True})
    for name, place in (("ssh", f"{HOME}/.ssh"), ("secrets", f"{HOME}/cloudbackup/secrets")):
        volumes.append({"name": name, "secret": {"secretName": f"{plan.name}-{name}", "defaultMode": mode}})
        mounts.append({"name": name, "mountPath": place, "readOnly": True})
    for number, mount in enumerate(plan.mounts):
        # The claim is read-only too, so that starting the pod does not change the owners of the app's files.
        claim = {"claimName": mount.claim, **({} if mount.writable else {"readOnly": True})}
        volumes.append({"name": f"data-{number}", "persistentVolumeClaim": claim})
        read_only = {} if mount.writable else {"readOnly": True}
        mounts.append({"name": f"data-{number}", "mountPath": mount.path, **read_only})
    if scratch:
        volumes.append({"name": "scratch", "emptyDir": {}})
        mounts.append({"name": "scratch", "mountPath": scratch})
    return volumes, mounts
