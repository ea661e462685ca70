"""Small sshds of one's own, and an ssh that reads a configuration of one's own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.remote.ssh import SshTarget, fetch_host_key
from tests.integration.remote.support import free_port, public_key


@dataclass(frozen=True)
class Server:
    """A running sshd: the folder with its keys and log, its address."""

    folder: Path
    port: int
    address: str = "127.0.0.1"

    @property
    def key(self) -> Path:
        """Return the private key that logs in."""
        return self.folder / "operator"

    @property
    def host_key(self) -> str:
        """Return its public host key."""
        return public_key(self.folder / "host.pub")

    @property
    def known(self) -> str:
        """Return its line of known_hosts."""
        return f"[{self.address}]:{self.port} {self.host_key}\n"

    @property
    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text()

    def target(self, **changes: object) -> SshTarget:
        """Return where to log in."""
        values: dict[str, object] = {"port": self.port, "key": self.key, "host_key": self.host_key, **changes}
        return SshTarget(self.address, **values)  # type: ignore[arg-type]


def make_key(file: Path, passphrase: str = "") -> Path:
    """Make a key pair."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", file.name, "-f", file], check=True)
    return file


@contextmanager
def server(folder: Path, address: str = "127.0.0.1", **options: object) -> Iterator[Server]:
    """Run an sshd that lets `operator` in; `options` go before ours."""
    folder.mkdir()
    for name in ("host", "operator"):
        make_key(folder / name)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    made = Server(folder, free_port(), address)
    every = {
        **options,
        "Port": made.port,
        "ListenAddress": address,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "operator.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
        "LogLevel": "VERBOSE",
    }
    words = [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd", "-D", "-f", "/dev/null"]
    for name, value in every.items():
        words += ["-o", f"{name}={value}"]
    process = subprocess.Popen([*words, "-E", str(folder / "log")])
    try:
        wait_for(made.address, made.port, process, folder / "log")
        yield made
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until an sshd answers."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            fetch_host_key(address, port)
        except Exception:  # whatever comes while it starts
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


class Ssh:
    """An `ssh` before the others on PATH, with configuration and known_hosts of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        self.config.touch()
        self.known_hosts.touch()
        self.wrap("")

    def wrap(self, first: str, program: str = "ssh") -> None:
        """Let the shell lines `first` stand before the real ssh, or before an older one of another name."""
        file = self.folder / "bin" / "ssh"
        file.parent.mkdir(exist_ok=True)
        real = shutil.which(program, path="/usr/bin:/usr/local/bin:/bin")
        assert real is not None, program
        file.write_text(f'#!/bin/sh\n{first}\nexec {real} -F {self.config} "$@"\n')
        file.chmod(0o755)

    def write(self, text: str) -> None:
        """Write the configuration; what it does not say goes by nothing of the machine's own."""
        files = f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile /dev/null\n"
        self.config.write_text(f"{text}\nHost *\n{files}IdentityAgent none\n")

    def trust(self, *servers: Server) -> None:
        """Write known_hosts."""
        self.known_hosts.write_text("".join(each.known for each in servers))
