"""App hosts: one real OpenSSH server each, on a loopback port, for the current user, with a home of its own."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import keys, process, programs
from lab.process import Process

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class HostPaths:
    """Where the parts of an app host lie in its folder."""

    folder: Path

    @property
    def home(self) -> Path:
        """$HOME of whoever logs in."""
        return self.folder / "home"

    @property
    def programs(self) -> Path:
        """Comes first in the host's PATH; empty unless the plan or a test puts a program there."""
        return self.home / "bin"

    @property
    def files(self) -> Path:
        """The app's files tree."""
        return self.folder / "srv"

    @property
    def ssh(self) -> Path:
        """Configuration and host key of sshd."""
        return self.folder / "sshd"

    @property
    def host_key(self) -> Path:
        """Private host key; `.pub` beside it."""
        return self.ssh / "host_key"

    @property
    def log(self) -> Path:
        """Log of sshd."""
        return self.folder / "sshd.log"

    @property
    def mariadb(self) -> Path:
        """Everything of the MariaDB server."""
        return self.folder / "mariadb"


def prepare(paths: HostPaths, port: int, operator_key: str, environment: dict[str, str]) -> None:
    """Write home, host key and configuration. `operator_key` is the one public key that may log in.

    `environment` is set in every session, beside HOME. OpenSSH takes the home of its files from the password database,
    never from HOME, so authorized_keys and the SFTP start are given by their paths, and the shell's start-up file moves
    a session, which sshd starts in the real home, into the lab's.
    """
    for folder in (paths.home, paths.programs, paths.home / ".ssh", paths.ssh):
        folder.mkdir(parents=True, exist_ok=True)
    (paths.home / ".ssh").chmod(0o700)
    (paths.home / ".ssh/authorized_keys").write_text(operator_key + "\n")
    for name in (".bashrc", ".zshenv"):
        (paths.home / name).write_text('cd "$HOME"\n')
    keys.make(paths.host_key, f"lab host {paths.folder.name}")
    handed_on = {name: os.environ[name] for name in ("BORG_SELFTEST", "BORG_FUSE_IMPL") if name in os.environ}
    values = {"HOME": str(paths.home), "PATH": f"{paths.programs}:{PATH}", **handed_on, **environment}
    settings = {
        "Port": str(port),
        "ListenAddress": "127.0.0.1",
        "HostKey": _quoted(paths.host_key),
        "AuthorizedKeysFile": _quoted(paths.home / ".ssh/authorized_keys"),
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "yes",
        "PrintMotd": "no",
        "PrintLastLog": "no",
        "MaxStartups": "100",
        "LogLevel": "VERBOSE",
        "SetEnv": " ".join(f'"{name}={value}"' for name, value in values.items()),
        "Subsystem": f"sftp internal-sftp -d {_quoted(paths.home)}",
    }
    if _punishes_sources():
        settings["PerSourcePenalties"] = "no"
    (paths.ssh / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))


def _punishes_sources() -> bool:
    """Whether this OpenSSH (9.8 and later) shuts an address out after refused logins: here all come from one."""
    banner = subprocess.run((programs.find("ssh"), "-V"), capture_output=True, text=True, check=False).stderr
    version = re.match(r"OpenSSH_(\d+)\.(\d+)", banner)
    return version is not None and (int(version[1]), int(version[2])) >= (9, 8)


def start(paths: HostPaths, environment: dict[str, str]) -> Process:
    """Start the host's sshd, which greets a moment later."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd as root insists on this empty folder
    words = (programs.find("sshd"), "-D", "-e", "-f", str(paths.ssh / "config"))
    return process.spawn(words, paths.log, environment, paths.folder)


def _quoted(path: Path) -> str:
    return f'"{path}"'
