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
VERSIONS = ("1.33", "1.37")  # the oldest and the newest that there are schemas for and that somebody maintains

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
        assert set(own["capabilities"]["add"]) <= {"DAC_READ_SEARCH", "SETGID", "CHOWN", "DAC_OVERRIDE", "FOWNER"}
    else:
        assert who["runAsNonRoot"] is True
        assert "add" not in own["capabilities"]
    assert container["resources"]["limits"]["memory"]
    assert pod["terminationGracePeriodSeconds"] >= 60
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["home"]["mountPath"] == "/home/cloudbackup"
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    for volume in pod["volumes"]:
        if "secret" in volume:
            # ssh refuses a key that its own user owns and others may read; who runs as another user must read root's.
            assert volume["secret"]["defaultMode"] == (0o400 if who["runAsUser"] == 0 else 0o444)
            assert mounts[volume["name"]]["readOnly"] is True
        if volume["name"].startswith("data") and mounts[volume["name"]]["mountPath"] != writable:
            assert volume["persistentVolumeClaim"]["readOnly"] is True
            assert mounts[volume["name"]]["readOnly"] is True


def check_job(each: Object) -> None:
    """Assert that a job ends, and that two of one kind never run at a time."""
    job = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
    if each["kind"] == "CronJob":
        assert each["spec"]["concurrencyPolicy"] == "Forbid"
        assert each["spec"]["timeZone"] == "Etc/UTC"
    assert job["activeDeadlineSeconds"] > 0
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2, 5]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
