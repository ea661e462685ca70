"""What is installed for the lab: said first, as root or by sudo or not at all, and no server of the machine is touched."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import installers, packages
from tasks.errors import CloudbackupError, UsageError

PLAN = """Reading package lists...
Inst mariadb-server-core [1:10.11.18-0+deb12u1] (1:10.11.19-0+deb12u1 Debian:12/stable [amd64]) []
Remv galera-4 [26.4.13-1]
Inst borgbackup (1.2.4-1 Debian:12.11/oldstable [amd64])
Conf borgbackup (1.2.4-1 Debian:12.11/oldstable [amd64])
"""
LINE = "apt-get update && apt-get install --yes --no-install-recommends borgbackup openssh-server"


class Machine:
    """A machine with stand-ins for a few programs alone. Each writes its words down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls"
        self.log.touch()

    def has(self, name: str, script: str = "") -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" | head -n 1 >>{self.log}\n{script}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine that has neither borg nor sshd, and an ordinary user."""
    machine = Machine(tmp_path)
    for name in ("sh", "head"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "_MORE_FOLDERS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return machine


def test_upgrades_and_removals_are_told_from_new_packages() -> None:
    assert packages.changed_by(PLAN) == ("mariadb-server-core", "galera-4")


def test_nothing_missing_says_nothing_and_calls_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", None)
    monkeypatch.setattr(packages, "find", lambda command: command)
    packages.ensure(*packages.PACKAGE_OF, why="this test")
    assert capfd.readouterr() == ("", "")


def test_the_server_comes_without_a_service() -> None:
    assert "mariadb-server" not in packages.PACKAGE_OF.values()


@pytest.mark.parametrize("sudo", [None, "exit 1"])
def test_who_may_not_install_gets_the_exact_line(
    machine: Machine, capfd: pytest.CaptureFixture[str], sudo: str | None
) -> None:
    machine.has("apt-get")
    if sudo is not None:
        machine.has("sudo", sudo)
    with pytest.raises(UsageError) as refused:
        packages.ensure("borg", "sshd", why="the demo")
    assert refused.value.exit_code == 2
    assert "the demo needs Debian's borgbackup, openssh-server; as root, run:" in str(refused.value)
    assert LINE in str(refused.value).splitlines()[1]
    assert [call for call in machine.calls if call.startswith("apt-get")] == []
    assert capfd.readouterr().err == ""


def test_a_system_without_apt_is_told_what_to_install(machine: Machine) -> None:
    with pytest.raises(UsageError, match="the demo needs borg, sshd, and this system has no apt-get"):
        packages.ensure("borg", "sshd", why="the demo")


@pytest.mark.parametrize("root", [True, False])
def test_it_says_so_first_and_installs_as_root_or_by_sudo(
    machine: Machine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(installers, "say", lambda text: said.append(f"{text} {machine.calls}"))
    machine.has("apt-get")
    machine.has("dpkg")
    machine.has(
        "sudo",
        f'[ "$2" = true ] && exit; [ "$2" != sh ] || {{ : >{machine.folder}/borg; chmod 755 {machine.folder}/borg; exit; }}; shift; exec "$@"',
    )
    if root:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(packages, "_INSTALL", f': >"{machine.folder}/borg"; chmod 755 "{machine.folder}/borg"')
        (machine.folder / "chmod").symlink_to("/bin/chmod")
    else:
        (machine.folder / "chmod").symlink_to("/bin/chmod")
    packages.ensure("borg", why="the demo")
    assert said[0].startswith("installing for the demo, from Debian's packages: borgbackup (no service is started)")
    assert not [call for call in said[0].splitlines() if "apt-get" in call]
    expected = ["apt-get update", "apt-get install --simulate --no-install-recommends borgbackup"]
    assert [call for call in machine.calls if call.startswith("apt-get")] == expected
    assert any(call.startswith("sudo -n sh -c") for call in machine.calls) is not root
    assert said[1].startswith("installed in ")


def test_an_apt_that_fails_is_one_sentence_with_its_log(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has("apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(
        CloudbackupError, match=r"apt-get update failed: E: Unable to locate package\n.*all of it: (\S+)"
    ):
        packages.ensure("borg", why="the demo")


def test_an_installation_that_would_touch_a_service_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has("apt-get", 'case "$*" in *simulate*) echo "Inst mariadb-server [1:10.11.1] (1:10.11.2 Debian)" ;; esac')
    machine.has("dpkg", "echo /lib/systemd/system/mariadb.service")
    with pytest.raises(UsageError, match=r"(?s)would change mariadb-server, which runs a service here.*as root, run:"):
        packages.ensure("borg", why="the demo")
    assert machine.calls[-1] == "dpkg -L mariadb-server"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
class TestPolicy:
    """The script that root runs, with an apt-get that only asks as Debian's packages do whether to start a service."""

    @pytest.fixture
    def install(self, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        """Return a function that runs it where /usr/sbin may be written, after some shell, and tells what is left."""
        machine = Machine(tmp_path)
        machine.has("apt-get", "/usr/sbin/policy-rc.d mariadb start; echo the policy says $?")
        machine.has("update-rc.d")
        machine.has("dpkg-query", "[ $4 != prometheus ] && echo installed")

        def run(before: str = ":", *wanted: str) -> subprocess.CompletedProcess[str]:
            outer = (
                "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work &&"
                " mount -t overlay -o lowerdir=/usr/sbin,upperdir=/mnt/upper,workdir=/mnt/work none /usr/sbin &&"
                f" rm -f /usr/sbin/policy-rc.d && : >'{machine.log}' &&"
                f' {{ {before}; }} && sh -c "$0" sh "$@"; code=$?; ls /usr/sbin/policy-rc.d &&'
                f' {{ /usr/sbin/policy-rc.d ssh start; echo "left, it says $?"; }}; cat "{machine.log}"; exit $code'
            )
            words = ("unshare", "--mount", "bash", "-c", outer, packages._INSTALL, *wanted)
            path = f"{tmp_path}:{os.environ['PATH']}:/usr/sbin:/sbin"
            return subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60)

        return run

    def test_no_service_starts_and_what_is_new_stays_disabled(
        self, install: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        end = install(":", "openssh-server", "prometheus")
        assert end.returncode == 0, end.stderr
        assert "the policy says 101" in end.stdout
        assert "/usr/sbin/policy-rc.d\n" not in end.stdout
        assert "install --yes --no-install-recommends --no-remove openssh-server prometheus" in end.stdout
        assert [line for line in end.stdout.splitlines() if line.startswith("update-rc.d")] == [
            "update-rc.d prometheus disable"
        ]

    def test_a_policy_of_the_machines_own_stays(self, install: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        own = "printf '#!/bin/sh\\nexit {}\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
        strict, lax = install(own.format(101)), install(own.format(0))
        assert "the policy says 101" in strict.stdout
        assert "/usr/sbin/policy-rc.d\n" in strict.stdout
        assert lax.returncode == 1
        assert "lets an installation start services" in lax.stdout
        assert "apt-get" not in lax.stdout

    def test_one_that_a_power_cut_left_holds_nothing(
        self, install: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        killed = tmp_path / "apt-get"
        text = killed.read_text()
        killed.write_text(text + "kill -9 $PPID\n")
        end = install()
        assert end.returncode == 137, end.stdout
        assert "left, it says 0" in end.stdout
