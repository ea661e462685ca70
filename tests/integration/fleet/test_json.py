"""JSON of every task that reads: one document on standard output, as docs/json.md has it; faults keep their exit codes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.integration.fleet.support import Operator

DOCUMENTED = (Path(__file__).parents[3] / "docs/json.md").read_text()
OWN_FORMATS = {"mariadb.dump", "mariadb.open"}  # SQL or CSV
CALLS = {
    "app.check": "",
    "app.find": "",
    "app.list": "",
    "backup": "",
    "borg.diff": "--app shop",
    "borg.info": "--app shop",
    "borg.list": "",
    "check": "--app shop --repository-only",
    "find": "index.html",
    "mariadb.backup": "--app shop",
    "mariadb.binlog": "--app shop",
    "mariadb.verify": "--app shop",
    "nightly": "--dry-run",
    "prune": "--app shop --dry-run",
    "report.history": "",
    "report.show": "",
    "schedule.show": "",
    "storagebox.access": "",
    "storagebox.accounts": "",
    "storagebox.keys": "",
    "storagebox.probe": "",
    "storagebox.snapshots": "",
    "storagebox.usage": "",
    "verify": "--app shop --source files",
}
MORE = ("report --digest 7d", "borg.list --app shop --archive latest", "borg.info --app shop --archive latest")
DIFFERS = "storagebox.probe"  # a lab on a machine with one borg gives it two names
MAY_FAIL = {"mariadb.binlog", "prune"}  # where the lab's apps have neither logs nor `keep`


def with_format() -> set[str]:
    every = {name: tasks.ns[name] for name in tasks.ns.task_names}
    return {name for name, task in every.items() if any("format" in each.names for each in task.get_arguments())}


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, key)
    else:
        yield key, value


def test_each_task_that_takes_a_format_is_tried_here() -> None:
    assert with_format() - OWN_FORMATS == set(CALLS)


def test_each_prints_one_document_with_the_fields_that_are_documented(operator: Operator, all_well: None) -> None:
    operator.done("storagebox.snapshots", "--create")
    calls = [f"{name} {more}" for name, more in CALLS.items()] + list(MORE)
    for call in calls:
        end = operator.inv(*call.split(), "--format", "json")
        name = call.split()[0]
        assert end.returncode == 0 or (name in MAY_FAIL and end.returncode == 2) or name == DIFFERS, (call, end)
        if end.returncode == 2:
            assert end.stdout == "", call
            continue
        told = json.loads(end.stdout)
        if call.split()[0] != "find":
            assert told["version"] == 1, call
            assert told["tool"], call
        for key, value in leaves(told):
            assert isinstance(value, str | int | float | bool | None), (call, key)
            assert (
                not isinstance(value, str)
                or not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", value)
                or value.endswith("Z")
            )
        for name in told if isinstance(told, dict) else told[0]:
            assert f"`{name}`" in DOCUMENTED, (call, name)


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"find", "report.show"}))
def test_a_fault_leaves_standard_output_empty_and_keeps_its_code(operator: Operator, name: str) -> None:
    wrong = operator.inv(*f"{name} {CALLS[name]}".split(), "--format", "jsno")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--format is one of table, json, not `jsno`" in wrong.stderr


def test_faults_beside_what_went_well(operator: Operator) -> None:
    end = operator.inv("borg.list", "--app", "nobody", "--format", "json")
    assert (end.returncode, end.stdout) == (2, "")
    end = operator.inv("backup", "--dry-run", "--format", "json")
    assert (end.returncode, end.stdout) == (2, "")
    end = operator.inv("storagebox.snapshots", "--create", "--format", "json")
    assert (end.returncode, end.stdout) == (2, "")
    end = operator.inv("borg.list", "--archive", "shop-files-2020-01-01T00-00-00", "--format", "json")
    assert end.returncode in (2, 3, 4)
    assert all(one["error"] for one in json.loads(end.stdout)["apps"])
