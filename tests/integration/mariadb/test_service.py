"""Two servers on a host: a `stop` that is the other one's is found before anything is unpacked."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.errors import RefusedError
from tasks.mariadb import restore
from tasks.mariadb.host import service
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.host import LocalHost
from tasks.remote.script import Stream, quote
from tests.integration.mariadb.conftest import Running, make
from tests.integration.mariadb.onboarded import onboarded

NEVER = Stream(quote(("sh", "-c", "echo unpacked >&2; exit 1")))  # nothing may be read from the archive


@dataclass(frozen=True)
class Two:
    """This app's server, the other one's process, and stand-ins for the programs that know the host's services."""

    ours: Running
    other: int
    tools: Path

    def answering(self, name: str, said: str) -> str:
        """Return the path of a program that answers what systemd or docker would, and that stops nothing."""
        path = self.tools / name
        path.write_text(f"#!/bin/sh\ncase $* in *stop*) echo stopped >{self.tools}/stopped ;; *) {said} ;; esac\n")
        path.chmod(0o755)
        return str(path)


def pid_of(running: Running) -> int:
    """Return the process of a server, which works in its data directory."""
    (found,) = service.serving(str(running.server.datadir))
    return found


@pytest.fixture(scope="module")
def two(shop: Running, filled: Path) -> Iterator[Two]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    other = make(folder, filled)
    tools = folder / "tools"
    tools.mkdir()
    try:
        yield Two(shop, pid_of(other), tools)
    finally:
        other.remove()


def shown(pid: int | str, group: str = "") -> str:
    return f"printf 'LoadState=loaded\\nMainPID={pid}\\nControlGroup={group}\\n'"


def refused(two: Two, host: LocalHost, *stop: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        restore.in_place(host, two.ours.access(stop=list(stop)), RestoreRequest(NEVER))
    assert not (two.tools / "stopped").exists()
    beside = two.ours.server.datadir.parent.glob("*.restoring-*")
    assert list(beside) == []
    return caught.value


def accepted(two: Two, host: LocalHost, *stop: str) -> None:
    restore.require_own(host, two.ours.access(stop=list(stop)), str(two.ours.server.datadir))


def test_another_servers_unit_is_refused_by_name(two: Two, host: LocalHost) -> None:
    systemctl = two.answering("systemctl", shown(two.other))
    error = refused(two, host, systemctl, "stop", "mariadb")
    assert f"`{systemctl} stop mariadb` would stop another server (" in error.what
    assert f"this one, on {two.ours.server.datadir}, is process {pid_of(two.ours)}" in error.what
    assert "set `stop` and `start`" in error.remedy


def test_a_unit_that_does_not_run_is_refused_as_that(two: Two, host: LocalHost) -> None:
    systemctl = two.answering("systemctl", shown(0))
    assert "would stop nothing: the unit mariadb does not run" in refused(two, host, systemctl, "stop", "mariadb").what


def test_another_servers_container_is_refused(two: Two, host: LocalHost) -> None:
    docker = two.answering("docker", f"echo {two.other}")
    assert "would stop another server" in refused(two, host, docker, "stop", "-t", "60", "other-db").what


def test_its_own_unit_and_container_are_right_by_process_parent_and_control_group(two: Two, host: LocalHost) -> None:
    ours = pid_of(two.ours)
    accepted(two, host, two.answering("systemctl", shown(ours)), "stop", "mariadb")
    parent = Path(f"/proc/{ours}/stat").read_text().rpartition(")")[2].split()[1]
    if parent != "1":
        accepted(two, host, two.answering("docker", f"echo {parent}"), "stop", "shop-db")
    accepted(two, host, two.answering("docker", f"echo {ours}"), "kill", "shop-db")


@pytest.mark.parametrize(
    "said",
    ["exit 1", "printf 'LoadState=not-found\\nMainPID=0\\n'", "echo; echo MainPID=x", "head -c 100 /dev/urandom"],
)
def test_what_systemd_does_not_tell_is_no_fault(two: Two, host: LocalHost, said: str) -> None:
    accepted(two, host, two.answering("systemctl", said), "stop", "mariadb")


@pytest.mark.parametrize(
    "stop", [["systemctl", "stop", "a", "b"], ["true"], ["/nonexistent/systemctl", "stop", "mariadb"], ["sudo"]]
)
def test_other_commands_are_judged_afterwards_alone(two: Two, host: LocalHost, stop: list[str]) -> None:
    accepted(two, host, *stop)


def test_a_server_that_is_down_does_not_cost_another_one(filled: Path, two: Two, host: LocalHost) -> None:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    shutil.copytree(filled, folder / "data")
    try:
        access = two.ours.access(stop=[two.answering("systemctl", shown(two.other)), "stop", "mariadb"])
        with pytest.raises(RefusedError, match=rf"another server .*; this one, on {folder}/data, is not running"):
            restore.require_own(host, access, str(folder / "data"))
    finally:
        shutil.rmtree(folder)


def test_app_check_tells_it_beforehand(two: Two, tmp_path: Path) -> None:
    stop = [two.answering("systemctl", shown(two.other)), "stop", "mariadb"]
    operator = onboarded(two.ours, tmp_path, stop=stop)
    said = operator.inv("app.check", "--app", "replica").stdout
    assert f"no restore in place: `{' '.join(stop)}` would stop another server" in said
