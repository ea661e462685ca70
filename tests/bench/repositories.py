"""Many real Borg repositories behind a real SSH server, made quickly, with an inventory and borgmatic's configuration.

Each repository has an id and a key of its own, made by borg's own `init` and `create`: one process imports borg once and
forks for each of its commands, because borg's start is most of what such a command costs.
"""

import getpass
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import yaml

from lab import keys, process, sshd

PASSPHRASE = "bench"
ARCHIVES = 3
RECORDS = 30  # of backups for each app, and a third as many of drills
NOW = datetime.now(UTC).replace(microsecond=0)

# Runs with borg's own interpreter: a list of borg's command lines from standard input, two at a time.
FORKING = r"""
import json, os, sys
from borg.archiver import main
running = 0
def reap():
    if os.wait()[1] not in (0, 256): sys.exit("borg failed")
for words, environment in json.load(sys.stdin):
    if running == 2:
        reap(); running -= 1
    if os.fork() == 0:
        os.environ.update(environment); sys.argv = ["borg", *words]; os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2); main()
    running += 1
while running:
    reap(); running -= 1
"""


def name_of(number: int) -> str:
    """Return an app's name."""
    return f"app{number:03d}"


def archive_of(app: str, day: float) -> str:
    """Return the name of the archive of so many days ago."""
    return f"{app}-files-{NOW - timedelta(days=day):%Y-%m-%dT%H-%M-%S}"


@dataclass(frozen=True)
class Fleet:
    """A server with `count` repositories. `port` is where clients connect: the server's own or a slow line's."""

    folder: Path
    count: int
    daemon: process.Process
    port: int

    @classmethod
    def make(cls, count: int) -> "Fleet":
        """Start the server and make the repositories."""
        folder = Path(tempfile.mkdtemp(prefix="cloudbackup-bench-"))
        key = folder / "operator_key"
        keys.make(key, "operator")
        paths = sshd.HostPaths(folder / "server")
        port = process.free_port()
        sshd.prepare(paths, port, keys.public(key), {})
        daemon = sshd.start(paths, {})
        process.wait_until(lambda: process.answers(port), "sshd", daemon, paths.log)
        fleet = cls(folder, count, daemon, port)
        fleet.repositories.mkdir()
        (folder / "data").write_text("a file\n")
        (folder / "passphrase").write_text(PASSPHRASE)
        apps = [name_of(number) for number in range(count)]
        fleet.borg([(app, ("init", "--encryption=repokey-blake2")) for app in apps])
        for day in range(ARCHIVES, 0, -1):
            fleet.save(apps, day)
        for app in apps:
            fleet.write_records(app)
        return fleet

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process.end_all(lambda: process.descendants([self.daemon]))
        shutil.rmtree(self.folder)

    @property
    def repositories(self) -> Path:
        """The folder of all repositories."""
        return self.folder / "server/home/repositories"

    @property
    def ssh(self) -> str:
        """The ssh command of stock borg and of borgmatic."""
        known = self.folder / f"known_hosts-{self.port}"
        known.write_text(f"[127.0.0.1]:{self.port} {keys.pin(self.folder / 'server/sshd/host_key')}\n")
        return f"ssh -i {self.folder / 'operator_key'} -o BatchMode=yes -o UserKnownHostsFile={known}"

    def url(self, app: str) -> str:
        """Return a repository's address."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.repositories / app}"

    def borg(self, jobs: list[tuple[str, tuple[str, ...]]]) -> None:
        """Run borg beside the repositories, which costs the operator's side nothing."""
        base = {"BORG_PASSPHRASE": PASSPHRASE, "BORG_SELFTEST": "disabled", "BORG_BASE_DIR": str(self.folder / "base")}
        commands = [(words, {**base, "BORG_REPO": str(self.repositories / app)}) for app, words in jobs]
        program = shutil.which("borg")
        assert program is not None
        interpreter = Path(program).read_text().splitlines()[0].removeprefix("#!").strip()
        subprocess.run((interpreter, "-c", FORKING), input=json.dumps(commands), text=True, check=True)

    def save(self, apps: list[str], day: float) -> None:
        """Make an archive in each repository."""
        self.borg([(app, ("create", f"::{archive_of(app, day)}", str(self.folder / "data"))) for app in apps])

    def write_records(self, app: str) -> None:
        """Write such records as a month of backups leaves."""
        folder = self.repositories / "records" / app
        folder.mkdir(parents=True)
        for number in range(RECORDS):
            self._record(folder, app, "backup", number)
            if number % 3 == 0:
                self._record(folder, app, "verify", number)

    def _record(self, folder: Path, app: str, action: str, day: int) -> None:
        time = NOW - timedelta(days=day, minutes=5)
        values = {
            "version": 1,
            "app": app,
            "action": action,
            "source": "files",
            "outcome": "ok",
            "size": 7,
            "stored": 1,
        }
        values |= {"time": f"{time:%Y-%m-%dT%H:%M:%SZ}", "archive": archive_of(app, day), "duration_seconds": 1.0}
        values["archive_ids"] = [os.urandom(32).hex() for _ in range(ARCHIVES)]
        (folder / f"{time:%Y-%m-%dT%H-%M-%S}-{action}-files-{day:04x}.json").write_text(json.dumps(values))

    def inventory(self) -> Path:
        """Write the inventory; return its folder. Its cache is `cache` beside it, and empty."""
        folder = self.folder / f"operator-{self.port}"
        (folder / "inventory/apps").mkdir(parents=True)
        storage = {
            "kind": "ssh", "host": "127.0.0.1", "port": self.port, "user": getpass.getuser(),
            "directory": str(self.repositories), "key": str(self.folder / "operator_key"),
            "host_key": keys.pin(self.folder / "server/sshd/host_key"),
        }  # fmt: skip
        main = {"storages": {"server": storage}, "cache": str(folder / "cache"), "escrow": str(folder / "escrow")}
        (folder / "inventory/cloudbackup.yml").write_text(yaml.safe_dump(main))
        for number in range(self.count):
            app = {
                "host": f"root@host{number:03d}.example.org",
                "passphrase": {"file": str(self.folder / "passphrase")},
                "files": {"paths": ["/srv"]},
                "max_age": "3d",
            }
            (folder / f"inventory/apps/{name_of(number)}.yml").write_text(yaml.safe_dump(app))
        return folder / "inventory"

    def borgmatic(self, count: int) -> Path:
        """Write borgmatic's configuration for the first `count` repositories; return the file."""
        file = self.folder / f"borgmatic-{self.port}.yaml"
        values = {
            "repositories": [{"path": self.url(name_of(number))} for number in range(count)],
            "encryption_passphrase": PASSPHRASE,
            "ssh_command": self.ssh,
            "borg_base_directory": str(self.folder / f"borgmatic-base-{self.port}"),
        }
        file.write_text(yaml.safe_dump(values))
        return file
