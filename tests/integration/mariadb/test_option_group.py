"""An option group on the host has mariadb-backup leave something out: what the operator reads of it, and what is saved."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import mariadb
from tasks.remote.script import quote
from tests.integration.fleet.support import Operator
from tests.integration.mariadb.conftest import PASSWORD, Running
from tests.integration.mariadb.onboarded import onboarded

CHOSEN = ("--app", "replica")


@pytest.fixture(scope="module")
def logs(shop: Running) -> Iterator[Running]:
    mariadb.query(shop.server, "CREATE DATABASE logs; CREATE TABLE logs.hits (i INT); INSERT INTO logs.hits VALUES (7)")
    yield shop
    mariadb.query(shop.server, "DROP DATABASE logs")


def with_group(running: Running, folder: Path, option: str) -> Operator:
    """Return an operator of a server whose host has an option file with a further group."""
    file = folder / "options.cnf"
    login = mariadb.client_options("backup", PASSWORD, running.server.socket)
    file.write_text(f"{login}\n[mariabackup]\n{option}\n")
    operator = onboarded(running, folder)
    operator.change("apps/replica.yml", lambda app: app.update(mariadb={"defaults_file": str(file)}))
    return operator


def row(operator: Operator) -> dict[str, Any]:
    return operator.report(*CHOSEN)["replica", "mariadb"]


def test_what_a_group_leaves_out_is_named_by_the_check_and_saved_all_the_same(logs: Running, tmp_path: Path) -> None:
    operator = with_group(logs, tmp_path, "databases-exclude=logs")
    checked = operator.inv("app.check", *CHOSEN).stdout
    (line,) = [line for line in checked.splitlines() if "databases-exclude" in line]
    assert line.split()[:3] == ["replica", "warning", "mariadb"]
    assert "backups override that" in line
    assert operator.inv("backup", *CHOSEN).returncode == 0
    assert (row(operator)["status"], row(operator)["incomplete"]["count"]) == ("ok", 0)
    target = logs.server.folder / "whole"
    operator.done("restore", *CHOSEN, "--target", str(target))
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT i FROM logs.hits") == [["7"]]


def test_what_no_word_undoes_fails_the_check_and_the_backup_by_name(logs: Running, tmp_path: Path) -> None:
    operator = with_group(logs, tmp_path, "compress")
    checked = operator.inv("app.check", *CHOSEN)
    assert checked.returncode == 4
    (line,) = [line for line in checked.stdout.splitlines() if "an option file has mariadb-backup compress" in line]
    assert line.split()[:3] == ["replica", "error", "mariadb"]
    end = operator.inv("backup", *CHOSEN)
    assert end.returncode == 4
    assert "an option file has mariadb-backup compress: that gives no whole backup" in end.stdout
    assert row(operator)["status"] == "missing"  # there has been none before
    assert "compress" in row(operator)["error"]
    assert operator.archives("replica") == []


def test_tables_that_are_left_out_all_the_same_make_the_backup_incomplete_everywhere(
    logs: Running, tmp_path: Path
) -> None:
    """Words of the tool's own win over those of the backup."""
    tools = tmp_path / "tools"
    tools.mkdir()
    left_out = quote(("--databases-exclude=logs",))
    (tools / "mariadb-backup").write_text(f'#!/bin/sh\nexec /usr/bin/mariadb-backup "$@" {left_out}\n')
    (tools / "mariadb-backup").chmod(0o755)
    operator = onboarded(logs, tmp_path, exec=["env", f"PATH={tools}:/usr/sbin:/usr/bin:/sbin:/bin"])
    end = operator.inv("backup", *CHOSEN)
    assert end.returncode == 4
    assert "2 tables of the server are not in the archive: logs.db, logs.hits" in end.stdout
    held = row(operator)
    assert (held["status"], held["incomplete"]["count"]) == ("incomplete", 2)
    assert "logs.hits: left out by mariadb-backup" in held["incomplete"]["first"]
    files = (tmp_path / "storage/records/replica").glob("*-backup-mariadb-*")
    assert [json.loads(file.read_text())["outcome"] for file in files] == ["incomplete"]
    assert operator.inv("report", "--strict", *CHOSEN).returncode == 3
