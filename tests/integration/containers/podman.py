"""A host with a real Podman, whose containers are its own: in the mount namespace of an `Ordinary` host. Needs root.

Its image is made of the machine's own programs: a MariaDB, with what its tools need, and no python3.
"""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
_PROGRAMS = (
    *("mariadbd", "mariadb", "mariadb-backup", "mbstream", "mariadb-binlog", "mariadb-install-db", "my_print_defaults"),
    "mariadb-dump",
    *("sh", "cat", "ls", "stat", "find", "grep", "sed", "head", "tail", "tr", "rm", "mkdir", "chmod", "chown", "sleep"),
    *("id", "cp", "mv", "touch", "du", "env", "basename", "dirname", "hostname", "uname", "getent", "resolveip", "awk"),
)
_FOLDERS = ("usr", "etc", "tmp", "run/mysqld", "var/lib/mysql", "proc", "sys", "dev", "root", "data", "var/uploads")


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
        words = ["podman", "run", "--detach", f"--name={name}", "--pull=never"]
        for key, value in options.items():
            every = value if isinstance(value, tuple) else (value,)
            words += [f"--{key.replace('_', '-')}={each}" for each in every]
        self.inside(*words, image, *command)

    def mariadb(self, name: str, volume: str, **options: object) -> None:
        """Run a MariaDB in a container, as the image of that name does, and wait until it answers."""
        more = {"env": (f"MARIADB_ROOT_PASSWORD={PASSWORD}", "DATA=/var/lib/mysql")}
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

    @contextmanager
    def without_mariadb(self) -> Iterator[None]:
        """Let the host itself have no MariaDB: nobody but root may run its programs, and root finds them empty."""
        with ExitStack() as stack:
            for name in ("mariadbd", "mariadb", "mariadb-backup", "mbstream", "mariadb-binlog"):
                stack.enter_context(
                    self.host.without(str(Path(shutil.which(name, path="/usr/bin:/usr/sbin") or "").resolve()))
                )
            yield

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
        _image(archive)
        engine.inside("podman", "import", "--quiet", str(archive), MARIADB)
        archive.unlink()
        try:
            yield engine
        finally:
            engine.remove_all()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _image(archive: Path) -> None:
    """Write a root file system as a tar: programs with their libraries, links into /usr, and users."""
    lines = {"passwd": "mysql:x:999:999::/nonexistent:/bin/false\n", "group": "mysql:x:999:\n"}
    known = {f"etc/{name}": Path("/etc", name).read_text() + line for name, line in lines.items()}
    with tarfile.open(archive, "w", dereference=True) as tar:
        for name in _FOLDERS:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name in ("tmp", "run/mysqld") else 0o755))
        for name, to in _LINKS.items():
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = to
            tar.addfile(entry)
        for name, text in known.items():
            entry = _entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        for file in sorted(_files()):
            tar.add(file, file.lstrip("/"))


def _files() -> set[str]:
    programs = {path for name in _PROGRAMS if (path := shutil.which(name, path="/usr/bin:/usr/sbin"))}
    said = subprocess.run(("ldd", *programs), capture_output=True, text=True, check=False).stdout
    libraries = set(re.findall(r"(/\S+) \(0x", said))
    every = {str(Path(each).parent.resolve() / Path(each).name) for each in programs | libraries}
    return {*every, "/usr/share/mysql"}


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry
