"""A host with ordinary users of its own: an sshd in a mount namespace, with its own passwd, sudoers and doas.conf.

The machine's own files stay as they are. Needs root.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.remote.become import Become
from tasks.remote.ssh import SshTarget
from tests.integration.remote.servers import make_key, wait_for
from tests.integration.remote.support import free_port, public_key

LOGIN, UID = "deploy", 64123
SERVICE, SERVICE_UID = "appdata", 64124
PASSWORD = "ein Wort mit $(id) 'und' \"mehr\""
OPEN = f"{LOGIN} ALL=(root) NOPASSWD: /usr/bin/bash\n"
DEFAULTS = 'Defaults env_reset, use_pty\nDefaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin"\nroot ALL=(ALL:ALL) ALL\n'
# Everything that sudo and the login read is the namespace's own; its log and its records lie in `$1`. `$2` is more to
# do there.
_ENTER = """
set -e
mount --make-rprivate /
for name in passwd shadow group sudoers doas.conf; do
  [ -e /etc/$name ] || touch /etc/$name
  mount --bind "$1/etc/$name" /etc/$name
done
mount -t tmpfs none /etc/sudoers.d
mkdir -p /run/sudo /var/log/sudo-io
mount -t tmpfs none /run/sudo
mount --bind "$1/io" /var/log/sudo-io
mount --bind "$1/root" /root
eval "$2"
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Ordinary:
    """A running host: its folder, and the port on 127.0.0.1 of its sshd."""

    folder: Path
    port: int
    kept: str = ""
    pids: list[int] = field(default_factory=list)

    @property
    def key(self) -> Path:
        """Return the private key with which the login logs in."""
        return self.folder / "operator"

    @property
    def host_key(self) -> str:
        """Return its public host key."""
        return public_key(self.folder / "host.pub")

    @property
    def home(self) -> Path:
        """Return the login's home."""
        return self.folder / "home"

    @property
    def root(self) -> Path:
        """Return root's home there."""
        return self.folder / "root"

    @property
    def secret(self) -> str:
        """Return a folder that only root may read, with a `file` in it."""
        folder = self.folder / "secret"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "file").write_text("only root reads this")
        return str(folder)

    @property
    def sudo_log(self) -> str:
        """Return what sudo has logged, and whatever it has recorded of what passed through it."""
        files = [path for path in (self.folder / "io").rglob("*") if path.is_file()]
        return "".join(path.read_bytes().decode(errors="replace") for path in [*files, self.folder / "sudo.log"])

    def sudoers(self, text: str) -> None:
        """Write the rules of sudo; its log is kept in the folder."""
        file = self.folder / "etc/sudoers"
        kept = f'Defaults env_keep += "{self.kept}"\n' if self.kept else ""
        file.write_text(f'{DEFAULTS}{kept}Defaults logfile="{self.folder}/sudo.log"\n{text}')
        (self.folder / "sudo.log").write_text("")

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """Let nobody but root run a program there."""
        enter = ["nsenter", f"--mount=/proc/{self.pids[0]}/ns/mnt"]
        hidden = self.folder / "hidden"
        hidden.touch(mode=0o600)
        subprocess.run([*enter, "mount", "--bind", hidden, program], check=True)
        try:
            yield
        finally:
            subprocess.run([*enter, "umount", program], check=True)

    def target(self, become: Become | None = None) -> SshTarget:
        """Return where to log in."""
        return SshTarget(f"{LOGIN}@127.0.0.1", self.port, self.key, self.host_key, become=become)


@contextmanager
def ordinary_host(environment: str = "", prepare: str = "", **options: object) -> Iterator[Ordinary]:
    """Run such a host; `environment` is what sessions and sudo hand on (`NAME=value`), `options` are sshd's.

    `prepare` is shell for its mount namespace, whose `$1` is the folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="cloudbackup-host-"))
    folder.chmod(0o711)
    made = Ordinary(folder, free_port(), environment.partition("=")[0])
    _write(made)
    Path("/run/sshd").mkdir(exist_ok=True)
    every = {
        **options,
        "Port": made.port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "operator.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
        "SetEnv": f"LANG=de_DE.UTF-8 {environment}",
    }
    words = ["unshare", "--mount", "bash", "-c", _ENTER, "bash", str(folder), prepare]
    words += [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd", "-D", "-f", "/dev/null"]
    for name, value in every.items():
        words += ["-o", f"{name}={value}"]
    process = subprocess.Popen([*words, "-E", str(folder / "log")])
    made.pids.append(process.pid)
    try:
        wait_for("127.0.0.1", made.port, process, folder / "log")
        yield made
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _write(made: Ordinary) -> None:
    folder = made.folder
    for name in ("host", "operator"):
        make_key(folder / name)
    (folder / "operator.pub").chmod(0o644)
    for name in ("etc", "io", "root"):
        (folder / name).mkdir(mode=0o755 if name == "etc" else 0o700)
    made.home.mkdir(mode=0o700)
    os.chown(made.home, UID, UID)
    (folder / "service").mkdir(mode=0o700)
    os.chown(folder / "service", SERVICE_UID, SERVICE_UID)
    encrypted = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
    ).stdout.strip()
    users = {LOGIN: (UID, made.home, encrypted), SERVICE: (SERVICE_UID, folder / "service", "*")}
    for name, mode in (("passwd", 0o644), ("shadow", 0o640), ("group", 0o644)):
        text = Path("/etc", name).read_text()
        for user, (uid, home, password) in users.items():
            text += {
                "passwd": f"{user}:x:{uid}:{uid}::{home}:/bin/bash\n",
                "shadow": f"{user}:{password}:19000:0:99999:7:::\n",
                "group": f"{user}:x:{uid}:\n",
            }[name]
        (folder / "etc" / name).write_text(text)
        (folder / "etc" / name).chmod(mode)
    for name, mode in (("sudoers", 0o440), ("doas.conf", 0o400)):
        (folder / "etc" / name).touch()
        (folder / "etc" / name).chmod(mode)
    made.sudoers(OPEN)
