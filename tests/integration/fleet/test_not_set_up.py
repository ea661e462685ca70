"""An app that nothing was made for, and a host that cannot reach its storage: one sentence each, before anything is made."""

import shutil
from pathlib import Path

import yaml

from lab.lab import Lab
from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_not_ready import errors
from tests.integration.remote.support import free_port


def test_an_app_that_is_not_set_up_is_told_once_with_the_command(
    lab: Lab, operator: Operator, saved: str, tmp_path: Path
) -> None:
    own = operator.copy(tmp_path / "inventory")
    shutil.copy(own.inventory / "apps" / "blog.yml", own.inventory / "apps" / "fresh.yml")
    end = own.inv("app.check", "--app", "fresh")
    assert end.returncode == 4
    told = "setup is not set up on box yet: there is no repository"
    assert errors(end.stdout) == [f"{told} `inv app.add --app fresh` makes what is missing, and the first backup"]


def test_a_repository_that_is_gone_is_not_taken_for_a_new_app(lab: Lab, operator: Operator, saved: str) -> None:
    repository = lab.box.home() / "cloudbackup" / "blog"
    repository.rename(repository.with_name("gone"))
    try:
        end = operator.inv("app.check", "--app", "blog")
    finally:
        repository.with_name("gone").rename(repository)
    assert end.returncode == 4
    assert "not set up" not in end.stdout
    assert "there is no repository at" in end.stdout


def test_a_host_that_cannot_reach_the_storage_is_told_before_anything_is_made(
    lab: Lab, operator: Operator, saved: str, tmp_path: Path
) -> None:
    own = operator.copy(tmp_path / "inventory")
    port = free_port()
    own.change("cloudbackup.yml", lambda values: values["storages"]["box"].update(port=port))
    values = yaml.safe_load((own.inventory / "apps" / "blog.yml").read_text())
    words = ["--host", values["host"], "--ssh-port", str(values["ssh"]["port"]), "--key", values["ssh"]["key"]]
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    end = own.inv("app.add", "--app", "fresh", *words, "--files", values["files"]["paths"][0], "--yes")
    assert end.returncode == 3, end.stdout + end.stderr
    assert f"127.0.0.1 cannot reach the storage box at 127.0.0.1, port {port}: Connection refused" in end.stderr
    assert "nothing was changed" in end.stderr or "what was done" not in end.stderr
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
