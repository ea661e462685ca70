"""Kubernetes' objects in a YAML stream, and what all of our pods must hold to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.unit.examples import operator_schema

CHECKOUT = Path(__file__).parents[3]
KUBERNETES = CHECKOUT / "examples/kubernetes"
VERSIONS = ("1.33", "1.35", "1.37")  # from the oldest that somebody maintains to the newest that there are schemas for

READS = {"DAC_READ_SEARCH", "SETGID"}
RESTORES = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
ENGINES = RESTORES | {"AUDIT_WRITE", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETPCAP", "SYS_CHROOT"}

Object = dict[str, Any]


def objects(text: str) -> list[Object]:
    """Return the stream's objects."""
    return [each for each in yaml.safe_load_all(text) if each]


def check_schema(each: Object) -> None:
    """Raise when an object breaks its schema in one of the versions; unknown keys break it too."""
    if each["apiVersion"].startswith("monitoring.coreos.com/"):
        jsonschema.validate(each, operator_schema.SCHEMAS[each["kind"]])
        return
    for version in VERSIONS:
        kubernetes_validate.validate(each, version, strict=True)


def pods(each: Object) -> Iterator[tuple[Object, Object]]:
    """Yield an object's pod and its only container."""
    template = {
        "CronJob": lambda: each["spec"]["jobTemplate"]["spec"]["template"],
        "Job": lambda: each["spec"]["template"],
        "Deployment": lambda: each["spec"]["template"],
    }.get(each["kind"])
    if template is not None:
        pod = template()["spec"]
        (container,) = pod["containers"]
        yield pod, container


def check_pod(pod: Object, container: Object, writable: str = "") -> None:
    """Assert what keeps a pod small: few rights, a root that nobody writes to, and data that it can only read."""
    who, own = pod["securityContext"], container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"]["drop"] == ["ALL"]
    assert who["seccompProfile"] == {"type": "RuntimeDefault"}
    assert who["runAsGroup"] == 0  # the home's group
    assert "fsGroup" not in who  # would change the owners of the app's files
    if who["runAsUser"] == 0:
        assert set(own["capabilities"]["add"]) in (READS, RESTORES)
    else:
        assert who["runAsNonRoot"] is True
        assert "add" not in own["capabilities"]
    resources = container["resources"]
    assert resources["limits"]["memory"]
    assert resources["requests"]["ephemeral-storage"]
    # What fills a node's disk is ended: each folder by its own limit, and all of them by the container's.
    room = sum(_gibibytes(each["emptyDir"]["sizeLimit"]) for each in pod["volumes"] if "emptyDir" in each)
    assert room <= _gibibytes(resources["limits"]["ephemeral-storage"])
    assert pod["terminationGracePeriodSeconds"] >= 60
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["home"]["mountPath"] == "/home/cloudbackup"
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    for volume in pod["volumes"]:
        if "secret" in volume:
            # ssh refuses a key that its own user owns and others may read; who runs as another user must read root's.
            assert volume["secret"]["defaultMode"] == (0o400 if who["runAsUser"] == 0 else 0o444)
            assert mounts[volume["name"]]["readOnly"] is True
        if volume["name"].startswith("data") and mounts[volume["name"]]["mountPath"] not in (writable, "/restored"):
            assert volume["persistentVolumeClaim"]["readOnly"] is True
            assert mounts[volume["name"]]["readOnly"] is True


def _gibibytes(size: str) -> int:
    return int(size.removesuffix("Gi"))


def pod_security(pod: Object, container: Object) -> str:
    """Return the level of the Pod Security Standards that a pod keeps to, for what our pods use of it.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/: `baseline` allows the capabilities that
    container engines give by themselves, `restricted` none but NET_BIND_SERVICE, and no root.
    """
    added = set(container["securityContext"]["capabilities"].get("add", ()))
    if not added <= ENGINES:
        return "privileged"
    return "restricted" if not added and pod["securityContext"].get("runAsNonRoot") else "baseline"


def beside(pod: Object) -> list[Object]:
    """Return the labels of the pods on whose node this one must run."""
    affinity = pod.get("affinity", {}).get("podAffinity", {})
    rules = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", ())
    assert all(rule["topologyKey"] == "kubernetes.io/hostname" for rule in rules)
    return [rule["labelSelector"]["matchLabels"] for rule in rules]


def check_job(each: Object) -> None:
    """Assert that a job ends, and that two of one kind never run at a time."""
    job = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
    if each["kind"] == "CronJob":
        assert each["spec"]["concurrencyPolicy"] == "Forbid"
        assert each["spec"]["timeZone"] == "Etc/UTC"
    assert job["activeDeadlineSeconds"] > 0
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2, 5]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
