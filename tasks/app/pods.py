"""The parts of a Kubernetes pod: cloudbackup's image with an inventory, secrets and volumes, and few permissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.app.pod_inventory import HOME

Values = dict[str, Any]
GRACE = 60  # seconds for a stopped run to terminate its processes
LONGEST = 6 * 3600  # seconds before a run is terminated
CACHES, TEMPORARY = 5, 1  # GiB that a pod may fill: the home with borg's caches, and /tmp
READS = ("DAC_READ_SEARCH", "SETGID")  # root reads other users' files; and ssh, as root, sets its groups first
RESTORES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")  # owners come back; a database is unpacked as nobody


@dataclass(frozen=True)
class Mount:
    """A PersistentVolumeClaim of the namespace, mounted in the pod at `path`."""

    claim: str
    path: str
    writable: bool = False


@dataclass(frozen=True)
class Plan:
    """What all pods of one app share. `name` is the prefix of all objects, `user` the numeric user id of the pod.

    `beside` are labels of the pods on whose node these must run; `capabilities` are those of a pod that runs as root.
    """

    name: str
    app: str
    image: str
    user: int
    mounts: Sequence[Mount] = ()
    account: bool = False  # whether the pod may use its service account, as kubectl does
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = READS

    def metadata(self, name: str) -> Values:
        """Return an object's metadata."""
        namespace = {"namespace": self.namespace} if self.namespace else {}
        return {"name": name, **namespace, "labels": dict(self.labels)}


@dataclass(frozen=True)
class Run:
    """What a pod runs, and when. `scratch` is a folder in the pod that may grow to `room` GiB."""

    name: str
    schedule: str
    words: Sequence[str]
    scratch: str = ""
    room: int = 0
    suspended: bool = False
    line: bool = False  # `words` is one line for a shell


def cron_job(plan: Plan, run: Run) -> Values:
    """Return a CronJob that runs one task. A suspended one is a template for `kubectl create job --from`."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": plan.metadata(run.name),
        "spec": {
            "schedule": run.schedule,
            "timeZone": "Etc/UTC",
            **({"suspend": True} if run.suspended else {}),
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {"spec": _job(plan, run)},
        },
    }


def _job(plan: Plan, run: Run) -> Values:
    # A wrong inventory (2) and a refusal (5) would only repeat.
    hopeless = {"containerName": "cloudbackup", "operator": "In", "values": [2, 5]}
    spec = {**pod(plan, run), "restartPolicy": "Never"}
    return {
        "backoffLimit": 1,
        "activeDeadlineSeconds": LONGEST,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": hopeless}]},
        "template": {"metadata": {"labels": dict(plan.labels)}, "spec": spec},
    }


def pod(plan: Plan, run: Run) -> Values:
    """Return a pod's specification."""
    volumes, mounts = _volumes(plan, run)
    capabilities: Values = {"drop": ["ALL"]}
    who: Values = {"runAsNonRoot": True, "runAsUser": plan.user}
    if plan.user == 0:
        capabilities["add"] = list(plan.capabilities)
        who = {"runAsUser": 0}
    command = {"command": ["/usr/bin/tini", "-g", "--", "sh", "-c"]} if run.line else {}
    return {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": plan.account,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": {**who, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "cloudbackup",
                "image": plan.image,
                **command,
                "args": list(run.words),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": capabilities,
                },
                "resources": {
                    "requests": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "512Mi"},
                    "limits": {"memory": "1Gi", "ephemeral-storage": f"{CACHES + TEMPORARY + run.room}Gi"},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
        **(_affinity(plan.beside) if plan.beside and plan.mounts else {}),
    }


def _affinity(labels: Mapping[str, str]) -> Values:
    """Return the rule that a pod runs on the node of pods with these labels."""
    rule = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": dict(labels)}}
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}}


def _volumes(plan: Plan, run: Run) -> tuple[list[Values], list[Values]]:
    """Return the pod's volumes and the mounts of its container."""
    # ssh accepts a private key owned by its user only if nobody else can read it.
    mode = 0o400 if plan.user == 0 else 0o444
    volumes: list[Values] = [_folder("home", CACHES), _folder("tmp", TEMPORARY)]
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
    if run.scratch:
        volumes.append(_folder("scratch", run.room))
        mounts.append({"name": "scratch", "mountPath": run.scratch})
    return volumes, mounts


def _folder(name: str, room: int) -> Values:
    return {"name": name, "emptyDir": {"sizeLimit": f"{room}Gi"}}
