"""A real sshd on loopback, and hosts that are reached through it or directly."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.errors import CloudbackupError
from tasks.remote.host import Host, LocalHost
from tasks.remote.ssh import SshHost, SshTarget
from tests.integration.remote.support import free_port, public_key


@dataclass(frozen=True)
class Sshd:
    """A running sshd: its port, the key that logs in, its host key, another key that it does not know."""

    port: int
    key: Path
    host_key: str
    stranger: Path
    pid: int

    def target(self, **changes: object) -> SshTarget:
        values: dict[str, object] = {"port": self.port, "key": self.key, "host_key": self.host_key, **changes}
        return SshTarget("127.0.0.1", **values)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "operator", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "operator.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    words = [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd", "-D", "-f", "/dev/null"]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    process = subprocess.Popen([*words, "-E", folder / "log"])
    server = Sshd(port, folder / "operator", public_key(folder / "host.pub"), folder / "stranger", process.pid)
    _wait_until_it_answers(server, folder / "log")
    yield server
    process.terminate()
    process.wait()


def _wait_until_it_answers(server: Sshd, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        host = SshHost(server.target())
        try:
            host.facts()
        except CloudbackupError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
        finally:
            host.close()


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest, sshd: Sshd) -> Iterator[Host]:
    there: Host = LocalHost() if request.param == "local" else SshHost(sshd.target())
    yield there
    there.close()
