"""A host with a real Podman, whose containers are its own: in the mount namespace of an `Ordinary` host. Needs root.

Their images hold nothing but names of folders, and the machine's own programs are mounted into them, so that a MariaDB
runs in a container without an image from anywhere.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.remote.ordinary import Ordinary, ordinary_host
from tests.integration.remote.support import eventually

PASSWORD = 'root\'s $(id) "own"'
MARIADB = "docker.io/library/mariadb:10.11"
# A container may use no cgroup of the machine and no network but its own loopback, and raises no limit.
_CONFIGURATION = """\
[containers]
cgroups = "disabled"
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
"""
_STORAGE = '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'
# crun does not run where cgroups of both versions are mounted (tried, 1.8.1), so its own namespace has the second alone.
_PREPARE = """
umount -R /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 none /sys/fs/cgroup
for place in /var/lib/containers /run/containers /run/libpod /run/crun /etc/containers /srv; do
  mkdir -p "$1/podman$place" $place
  mount --bind "$1/podman$place" $place
done
printf '%s' "$CONFIGURATION" >/etc/containers/containers.conf
printf '%s' "$STORAGE" >/etc/containers/storage.conf
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
"""
_SERVER = """\
set -e
if [ ! -d "$DATA/mysql" ]; then
  mariadb-install-db --no-defaults --user=mysql --datadir="$DATA" --auth-root-authentication-method=normal >/dev/null
  printf '%s\\n' "ALTER USER root@localhost IDENTIFIED BY '$(printf %s "$MARIADB_ROOT_PASSWORD" | sed "s/'/''/g")';" \\
    'CREATE DATABASE shop;' 'CREATE TABLE shop.orders (id INT PRIMARY KEY);' 'USE shop;' \\
    'INSERT INTO orders SELECT seq FROM seq_1_to_1000;' >/tmp/first
  set -- --init-file=/tmp/first
fi
exec mariadbd --no-defaults --user=mysql --datadir="$DATA" --socket=/run/mysqld/mysqld.sock --skip-networking \\
  --innodb-buffer-pool-size=32M --log-bin=binlog --server-id=7 "$@"
"""
_LINKS = {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")}
_FOLDERS = ("usr", "etc", "tmp", "run/mysqld", "var/lib/mysql", "proc", "sys", "dev", "root", "data")


@dataclass(frozen=True)
class Podman:
    """The host, and its engine."""

    host: Ordinary

    def inside(self, *words: str, text: str = "") -> str:
        """Run a command in the host's mount namespace; return its output."""
        enter = ("nsenter", f"--mount=/proc/{self.host.pids[0]}/ns/mnt", *words)
        done = subprocess.run(enter, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def run(self, name: str, image: str, *command: str, **options: object) -> None:
        """Run a container in the background. `options` are those of `podman run`; a tuple gives one several times."""
        words = ["podman", "run", "--detach", f"--name={name}", "--volume=/usr:/usr:ro"]
        for key, value in options.items():
            every = value if isinstance(value, tuple) else (value,)
            words += [f"--{key.replace('_', '-')}={each}" for each in every]
        self.inside(*words, image, *command)

    def mariadb(self, name: str, volume: str, **options: object) -> None:
        """Run a MariaDB in a container, as the image of that name does, and wait until it answers."""
        more = {"env": (f"MARIADB_ROOT_PASSWORD={PASSWORD}", "DATA=/var/lib/mysql"), "pull": "never"}
        self.run(name, MARIADB, "sh", "-c", _SERVER, "sh", volume=f"{volume}:/var/lib/mysql", **more, **options)
        assert eventually(lambda: self.answers(name), 60), self.inside("podman", "logs", name)

    def answers(self, name: str) -> bool:
        """Return whether the server in a container answers and has its rows."""
        return self.query(name, "SELECT COUNT(*) = 1000 FROM shop.orders") == "1"

    def query(self, name: str, statement: str) -> str:
        """Return what the server in a container answers, as root; empty if it does not."""
        login = 'MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb --user=root -BN -e "$1"'
        enter = ("nsenter", f"--mount=/proc/{self.host.pids[0]}/ns/mnt")
        words = (*enter, "podman", "exec", name, "sh", "-c", login, "sh", statement)
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    def remove_all(self) -> None:
        """Remove all containers and volumes."""
        self.inside("podman", "rm", "--all", "--force", "--time=1", "--volumes")


@contextmanager
def podman_host(environment: str = "") -> Iterator[Podman]:
    """Run a host with an engine that has the image `MARIADB` and no containers."""
    values = {"CONFIGURATION": _CONFIGURATION, "STORAGE": _STORAGE}
    prepare = "".join(f"{name}={_quoted(text)}\n" for name, text in values.items()) + _PREPARE
    with ordinary_host(environment, prepare, PermitRootLogin="yes") as host:
        engine = Podman(host)
        archive = host.folder / "image.tar"
        archive.write_bytes(_image({}))
        engine.inside("podman", "import", "--quiet", str(archive), MARIADB)
        try:
            yield engine
        finally:
            engine.remove_all()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _image(files: Mapping[str, str]) -> bytes:
    """Return a root file system as a tar: folders, links into /usr, and the machine's users."""
    written = io.BytesIO()
    lines = {"passwd": "mysql:x:999:999::/nonexistent:/bin/false\n", "group": "mysql:x:999:\n"}
    known = {f"etc/{name}": Path("/etc", name).read_text() + line for name, line in lines.items()}
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name in _FOLDERS:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name in ("tmp", "run/mysqld") else 0o755))
        for name, to in _LINKS.items():
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = to
            tar.addfile(entry)
        for name, text in {**known, **files}.items():
            entry = _entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return written.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry
