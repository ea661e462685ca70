"""Runs a container of a built image as a container engine would: its files, its mounts, its user, its capabilities.

No engine is there, so `unshare`, bind mounts, `chroot` and `setpriv` do it: a root that may be read-only, volumes over it,
process and mount namespaces of its own, no new privileges, the bounding set cut. The network is the machine's.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.images.building import Image

ALL = ("chown", "dac_override", "dac_read_search", "fowner", "setgid", "setuid", "sys_chroot", "kill")


@dataclass(frozen=True)
class Bind:
    """A folder or file of this machine, in the container as `target`."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """How to run an image. `capabilities` stay of root's; a user other than root has none in any case."""

    image: Image
    binds: Sequence[Bind] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    capabilities: Sequence[str] = ()
    read_only: bool = True
    hostname: str = "pod"

    def words(self, *command: str) -> list[str]:
        """Return the whole command, for root of this machine, that runs `command` and what is added to it in the container."""
        uid, _, gid = self.image.config["User"].partition(":")
        user = int(uid) if self.user is None else self.user
        # A new user's processes get none of root's capabilities; root's own are those of the bounding set.
        bounding = ",".join(["-all", *(f"+{name}" for name in self.capabilities)])
        limits = ["--reuid", str(user), "--regid", gid, "--clear-groups", "--no-new-privs", "--bounding-set", bounding]
        variables = dict(word.split("=", 1) for word in self.image.config["Env"]) | dict(self.environment)
        inside = ["setpriv", *limits, "env", "-i", *(f"{key}={value}" for key, value in variables.items()), *command]
        script = _script(self.image.root, self.binds, read_only=self.read_only, hostname=self.hostname)
        script += shlex.join(
            ["exec", "chroot", ".", "sh", "-c", 'cd "$0" && exec "$@"', self.image.config["WorkingDir"], *inside]
        )
        flags = ("--mount", "--propagation", "private", "--uts", "--pid", "--fork", "--kill-child")
        return ["unshare", *flags, "bash", "-c", f'{script} "$@"', "bash"]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container and return its end."""
        return subprocess.run(
            self.words(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=200
        )

    def inv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the entry point with arguments and return its end."""
        return self.run(*self.image.config["Entrypoint"], *arguments)

    def done(self, *arguments: str) -> str:
        """Run the entry point, which must succeed; return what it printed."""
        end = self.inv(*arguments)
        assert end.returncode == 0, f"{arguments} ended with {end.returncode}\n{end.stdout}\n{end.stderr}"
        return end.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the container and return at once."""
        return subprocess.Popen(
            self.words(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def first_process(started: subprocess.Popen[str]) -> int:
    """Return the container's process 1, as this machine numbers it."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    return int(children[0])


def end(started: subprocess.Popen[str]) -> None:
    """Kill a container. (Who changes users no longer dies with their parent, so it is told to process 1 itself.)"""
    if started.poll() is None:
        os.kill(first_process(started), signal.SIGKILL)
    started.communicate(timeout=30)


def stop(started: subprocess.Popen[str]) -> str:
    """Do what a stopped container is done to: SIGTERM to its process 1. Return what it printed."""
    os.kill(first_process(started), signal.SIGTERM)
    return started.communicate(timeout=90)[0]


def _script(root: Path, binds: Sequence[Bind], *, read_only: bool, hostname: str) -> str:
    """Return bash that mounts everything below a root of its own and goes there."""
    lines = [
        "set -e",
        f"hostname {shlex.quote(hostname)}",
        "root=$(mktemp -d /tmp/container.XXXXXX)",
        f'mount --bind {shlex.quote(str(root))} "$root"',
        # An engine makes the mount points that an image lacks.
        'place() { if [ -d "$1" ]; then mkdir -p "$2"; elif [ ! -e "$2" ]; then mkdir -p "${2%/*}"; : >"$2"; fi; }',
        'bind() { place "$1" "$root$2"; mount --bind "$1" "$root$2"; [ -z "$3" ] || mount -o remount,bind,ro "$root$2"; }',
        'mount -t proc proc "$root/proc"; mount -t tmpfs -o mode=755 tmpfs "$root/dev"',
        'mkdir "$root/dev/shm"; mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"',
        'for name in null zero full random urandom tty; do bind "/dev/$name" "/dev/$name" ""; done',
    ]
    inside = sorted(
        (*binds, Bind(Path("/etc/hosts"), "/etc/hosts", read_only=True)), key=lambda each: each.target.count("/")
    )
    for each in inside:
        words = ("bind", str(each.source), each.target, "read-only" if each.read_only else "")
        lines.append(shlex.join(words))
    if read_only:
        lines.append('mount -o remount,bind,ro "$root"')
    lines += ['cd "$root"', ""]
    return "\n".join(lines)
