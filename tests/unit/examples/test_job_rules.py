"""What Kubernetes' Job controller does with the fleet's pods when some fail: by its documented rules, without a cluster.

https://kubernetes.io/docs/concepts/workloads/controllers/job/ (Pod backoff failure policy, Backoff limit per index, Pod
failure policy).
"""

import copy
from collections.abc import Mapping, Sequence

import yaml

from tests.unit.examples.objects import KUBERNETES, Object

FLEET: Object = yaml.safe_load((KUBERNETES / "fleet/cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
Pods = Mapping[int, Sequence[tuple[int, int]]]  # of each index, its pods one after another: minutes and exit code


def carried_through(job: Object, pods: Pods) -> dict[int, bool]:
    """Return of each index whether its pods ended by themselves; False: they were ended with the Job."""
    ended: dict[int, bool] = {}
    failures = 0
    for _, index, number, code in _events(pods):
        if index in ended:
            continue
        if code == 0:
            ended[index] = True
            continue
        failures += 1
        (rule,) = job["podFailurePolicy"]["rules"]
        hopeless = code in rule["onExitCodes"]["values"]
        if hopeless and rule["action"] == "FailJob":
            return {each: ended.get(each, False) or each == index for each in pods}
        per_index = job.get("backoffLimitPerIndex")
        if per_index is None and failures > job["backoffLimit"]:
            return {each: ended.get(each, False) or each == index for each in pods}
        if (hopeless and rule["action"] == "FailIndex") or (per_index is not None and number >= per_index):
            ended[index] = True
    return {index: ended.get(index, True) for index in pods}


def _events(pods: Pods) -> list[tuple[int, int, int, int]]:
    """Return the end of each pod: minute, index, which of the index's pods it is, exit code; in the order of time."""
    events = []
    for index, each in pods.items():
        minute = 0
        for number, (minutes, code) in enumerate(each):
            minute += minutes
            events.append((minute, index, number, code))
    return sorted(events)


DEAD_HOST: Pods = {0: [(20, 3), (20, 3)], 1: [(90, 0)], 2: [(120, 0)]}
TWO_DEAD_HOSTS: Pods = {0: [(10, 3), (10, 3)], 1: [(15, 3), (10, 3)], 2: [(120, 0)]}
MISSING_SECRET: Pods = {0: [(20, 2)], 1: [(90, 0)], 2: [(120, 0)]}


def test_a_part_that_fails_ends_no_other() -> None:
    for pods in (DEAD_HOST, TWO_DEAD_HOSTS, MISSING_SECRET):
        assert all(carried_through(FLEET, pods).values()), pods
    assert FLEET["completionMode"] == "Indexed"


def test_the_rules_would_end_them_without_a_limit_for_each_index() -> None:
    job = copy.deepcopy(FLEET)
    del job["backoffLimitPerIndex"]
    job["backoffLimit"] = 1
    job["podFailurePolicy"]["rules"][0]["action"] = "FailJob"
    for pods in (DEAD_HOST, TWO_DEAD_HOSTS, MISSING_SECRET):
        assert not all(carried_through(job, pods).values()), pods


def test_files_and_database_of_one_repository_wait_for_each_other() -> None:
    for app in ("shop", "blog"):
        values = yaml.safe_load((KUBERNETES / f"overlays/{app}/inventory/cloudbackup.yml").read_text())
        assert values["defaults"]["lock_wait"] == "6h"
    for name in ("files", "mysql", "mysql-volume"):
        job = yaml.safe_load((KUBERNETES / f"{name}/cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
        assert job["activeDeadlineSeconds"] == 6 * 3600
