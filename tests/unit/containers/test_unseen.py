"""What an engine does not say is not taken for nothing, and what an image says of itself is no option of a command."""

import json
import shlex
from pathlib import Path

import pytest

from tasks.containers.container import Container, Mount, look, survey
from tasks.containers.host.standstill import Standstill
from tasks.containers.volumes import uncovered
from tasks.errors import AppError, UsageError
from tasks.remote.host import LocalHost
from tasks.sources.container_sources import proposed

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


# A label, the container's watcher, and what systemd says of the unit of that name: whether the unit is believed.
LABELS = [
    ("shop@1.service", 4711, "MainPID=4711", True),
    ("shop@1.service", 4711, "MainPID=4712", False),  # a unit that runs something else
    ("ssh.service", 4711, "MainPID=0", False),  # or nothing
    ("shop.service", 4711, "", False),
    ("shop.service", 4711, "MainPID=4711\nMainPID=4711", False),
    ("shop.service", None, "MainPID=0", False),  # docker, or a container that does not run
    ("shop.service", 0, "MainPID=0", False),
    ("shop.service", 1, "MainPID=1", False),
    ("shop.service", "4711", "MainPID=4711", False),
    ("shop.service", True, "MainPID=1", False),
    ("--host=evil.service", 4711, "MainPID=4711", False),
    ("-Hevil.service", 4711, "MainPID=4711", False),
    ("a b.service", 4711, "MainPID=4711", False),
    (" shop.service", 4711, "MainPID=4711", False),
    ("../shop.service", 4711, "MainPID=4711", False),
    ("ssh.socket", 4711, "MainPID=4711", False),
    (["shop.service"], 4711, "MainPID=4711", False),
]


@pytest.mark.parametrize("case", LABELS)
def test_an_image_names_no_unit_that_another_program_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[object, object, str, bool]
) -> None:
    """The label comes with the image: a restore would stop whatever unit stands there, and app.add write it down."""
    label, watcher, answer, believed = case
    made = {
        "Id": "ab" * 32,
        "Name": "web",
        "Config": {"Image": "x", "Labels": {"PODMAN_SYSTEMD_UNIT": label}},
        "State": {"Running": True, "ConmonPid": watcher},
        "Mounts": [{"Type": "bind", "Source": "/srv/shop", "Destination": "/data"}],
    }
    engines(tmp_path, monkeypatch, STOPPED, json.dumps([made]))
    (tmp_path / "systemctl").write_text(
        f"#!/bin/sh\necho systemctl $* >>{tmp_path}/ran\n[ $1 != show ] || printf '%s\\n' {shlex.quote(answer)}\n"
    )
    (tmp_path / "systemctl").chmod(0o755)
    expected = {verb: f"systemctl {verb} {label}" if believed else f"podman {verb} web" for verb in ("stop", "start")}
    found = survey(HOST)[0]
    assert {verb: " ".join(found[0].command(verb)) for verb in expected} == expected
    still = Standstill(["web"], ["/srv/shop"])
    (tmp_path / "podman").write_text((tmp_path / "podman").read_text() + f"\necho podman $* >>{tmp_path}/ran\n")
    still.begin()
    still.end()
    assert still.remarks == []
    ran = (tmp_path / "ran").read_text().splitlines()
    assert [line for line in ran if line.split()[1] in expected] == [*expected.values()]


@pytest.mark.parametrize(
    ("said", "remarks"),
    [
        ("Error: no such container shop-web", 0),
        (STOPPED, 0),
        (
            "failed to connect to the docker API; check if the daemon is running: dial unix: no such file or directory",
            0,
        ),
        (DENIED, 1),
    ],
)
def test_a_restore_names_a_container_of_which_nobody_knows_whether_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remarks: int
) -> None:
    engines(tmp_path, monkeypatch, said, "[]")
    still = Standstill(["shop-web"], ["/srv/shop"])
    still.begin()
    assert len(still.remarks) == remarks
    assert all(
        each.startswith("restart the container shop-web if it runs, which is not known") for each in still.remarks
    )


def test_a_container_that_another_engine_knows_to_be_stopped_needs_no_remark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines(tmp_path, monkeypatch, DENIED, '[{"Name": "shop-web", "State": {"Running": false}}]')
    still = Standstill(["shop-web"], ["/srv/shop"])
    still.begin()
    assert still.remarks == []


PG = Mount("/volumes/pg", "/var/lib/postgresql/data", "pg")
SHOP = Mount("/volumes/shop", "/var/lib/mysql", "shop")
LOGIN = "cloudbackup mariadb login own\n"


def test_a_container_cannot_have_a_volume_of_another_one_left_out() -> None:
    said = "cloudbackup postgresql folder /var/lib/postgresql/data/../uploads\ncloudbackup postgresql login own\n"
    web = Container("web", "x", "docker", mounts=(Mount("/volumes/uploads", "/uploads", "uploads"),))
    found = proposed([Container("db", "x", "docker", mounts=(PG,), said=said), web])
    assert found.values["files"] == {"paths": ["/volumes/pg", "/volumes/uploads"]}
    with pytest.raises(UsageError, match="is in no volume"):
        proposed([
            Container("db", "x", "docker", mounts=(SHOP,), said=f"{LOGIN}cloudbackup mariadb datadir /var/lib/mysql/../x\n")
        ])  # fmt: skip


def test_a_container_that_says_half_or_draws_is_no_unexpected_error() -> None:
    found = proposed([Container("db", "x", "docker", mounts=(SHOP,), said=LOGIN)])
    assert found.values["mariadb"]["datadir"] == "/volumes/shop"  # type: ignore[call-overload, index]
    for said, user in (("", {}), ("a\x1b]0;x", {"user": "a]0;x"})):
        half = f"cloudbackup postgresql user {said}\ncloudbackup postgresql login own\n"
        dumps = proposed([Container("db", "x", "docker", mounts=(PG,), said=half)]).values["dumps"]
        assert dumps == {"db": {"postgresql": {**user, "exec": ["docker", "exec", "-i", "db"]}}}
