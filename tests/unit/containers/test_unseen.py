"""What an engine does not say is not taken for nothing, and what an image says of itself is no option of a command."""

from pathlib import Path

import pytest

from tasks.containers.container import Container, Mount, look, survey
from tasks.containers.host.standstill import command
from tasks.containers.volumes import uncovered
from tasks.errors import AppError
from tasks.remote.host import LocalHost

HOST = LocalHost()
DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
STOPPED = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
ONE = '[{"Id": "ab", "Name": "web", "Config": {"Image": "x"}, "State": {"Running": true}}]'


def engines(folder: Path, monkeypatch: pytest.MonkeyPatch, docker: str, podman: str) -> None:
    texts = {
        "docker": f"echo '{docker}' >&2; exit 1",
        "podman": f"case $1 in ps) echo '{podman and 'ab'}' ;; *) echo '{podman}' ;; esac",
        "nerdctl": "echo 'rootless containerd not running?' >&2; exit 1",
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_an_engine_that_did_not_answer_beside_one_that_has_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(tmp_path, monkeypatch, DENIED, "")
    with pytest.raises(AppError, match="`docker ps`: permission denied") as caught:
        look(HOST)
    assert "nerdctl" not in caught.value.what
    assert "--become sudo" in caught.value.remedy
    engines(tmp_path, monkeypatch, STOPPED, "")
    assert survey(HOST) == ((), "")


def test_an_engine_that_did_not_answer_beside_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines(tmp_path, monkeypatch, DENIED, ONE)
    found, silent = survey(HOST)
    assert ([each.name for each in found], silent) == (["web"], f"`docker ps`: {DENIED}")
    engines(tmp_path, monkeypatch, STOPPED, ONE)
    assert survey(HOST)[1] == ""


def test_volumes_without_a_folder_and_data_below_usr_local_are_uncovered() -> None:
    mounts = (
        Mount("/mnt/gone", "/data", "remote", "nfs", kind="missing"),
        Mount("/srv/removed", "/old", kind="missing"),
        Mount("/usr/local/shop", "/shop"),
        Mount("/usr/local", "/tools"),
        Mount("/usr/share/zoneinfo", "/zones"),
    )
    found = uncovered("host", [Container("web", "x", "docker", mounts=mounts)], (), ())
    assert [each.shown for each in found] == ["remote", "/usr/local/shop"]


@pytest.mark.parametrize("unit", ["--host=evil.service", "-Hevil.service", "a b.service", "ssh.socket"])
def test_a_label_that_is_no_unit_stops_the_container_itself(unit: str) -> None:
    made = {"Name": "/web", "Config": {"Labels": {"PODMAN_SYSTEMD_UNIT": unit}}}
    assert command("docker", "stop", made) == ["docker", "stop", "web"]
    made["Config"] = {"Labels": {"PODMAN_SYSTEMD_UNIT": "shop@1.service"}}
    assert command("podman", "stop", made) == ["systemctl", "stop", "shop@1.service"]
