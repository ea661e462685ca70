"""The kinds of storage that the contract holds for. A further kind is one line in KINDS, and its `Place`."""

import os
import resource
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from lab import disk, keys, process, s3, sshd
from lab.plan import MAIN_ACCOUNT
from tasks.storage.base import Usage
from tests.contract.place import Place, Site, Values
from tests.contract.support import borg_on_a_disk, command_line, environment_of, eventually, size_of, user_name


class Box(Place):
    """The lab's emulator of a Storage Box; the account has only its password at first."""

    lacks: ClassVar[Mapping[str, str]] = {
        "full once": "the emulator is full until it is told otherwise, so nobody can make room at the right moment",
    }
    directory = "store/cloudbackup"
    inexact = 1024  # df counts in these

    @property
    def config(self) -> Values:
        box = self.lab.box
        values = {"kind": "storagebox", "host": "127.0.0.1", "port": box.port, "user": MAIN_ACCOUNT}
        return {**values, "directory": self.directory, "key": str(self.lab.operator_key)}

    @property
    def home(self) -> Path:
        return self.lab.box.home()

    @property
    def folder(self) -> Path:
        return self.home / self.directory

    @property
    def host_key(self) -> str:
        return self.lab.box.host_key

    def environment(self) -> Mapping[str, str]:
        return {"STORAGEBOX_PASSWORD": self.lab.box.account().password}

    def truth(self) -> Usage:
        return Usage(disk.used_by(self.lab.box.home()), self.lab.box.settings.quota)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.lab.box.faults.connections(0)
        try:
            yield
        finally:
            self.lab.box.faults.clear()

    @contextmanager
    def full(self) -> Iterator[None]:
        self.lab.box.faults.full()
        try:
            yield
        finally:
            self.lab.box.faults.clear()

    def cut(self) -> None:
        assert eventually(lambda: self.lab.box.faults.drop_connections() > 0)


class OnDisk(Place):
    """A place where borg writes to a disk of this machine that can be made full."""

    @contextmanager
    def full(self) -> Iterator[None]:
        self.site.full_flag.write_text(str(self.folder))
        try:
            yield
        finally:
            self.site.full_flag.unlink()

    def full_once(self) -> None:
        self.site.full_flag.write_text(f"{self.folder}\nonce")


class Server(OnDisk):
    """A real OpenSSH server with borg, an account of which the operator's key opens already."""

    directory = "my backups/100% ours"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.paths = sshd.HostPaths(self.lab.folder / "vault")
        self.port = process.free_port()
        sshd.prepare(self.paths, self.port, keys.public(self.lab.operator_key), {})
        borg_on_a_disk(self.paths.programs / "borg", site.full_flag)
        self.daemon = self.start()

    def start(self) -> process.Process:
        daemon = sshd.start(self.paths, {})
        process.wait_until(lambda: process.answers(self.port), "the vault's sshd", daemon, self.paths.log)
        return daemon

    @property
    def config(self) -> Values:
        values = {"kind": "ssh", "host": "127.0.0.1", "port": self.port, "user": user_name()}
        return {**values, "directory": self.directory, "key": str(self.lab.operator_key)}

    @property
    def home(self) -> Path:
        return self.paths.home

    @property
    def folder(self) -> Path:
        return self.home / self.directory

    @property
    def host_key(self) -> str:
        return keys.pin(self.paths.host_key)

    def truth(self) -> Usage:
        return space_of(self.paths.home)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.daemon = self.start()

    def cut(self) -> None:
        """Kill the server's ends of the connections; what they started must notice by itself."""
        for child in process.descendants([self.daemon]) - {self.daemon}:
            if command_line(child.pid).startswith(("sshd: ", "sshd-session: ")):  # the latter since OpenSSH 9.8
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)

    def close(self) -> None:
        process.end_all(lambda: process.descendants([self.daemon]))


class Directory(OnDisk):
    """A directory of the app's host, as a disk or a network file system is mounted there."""

    lacks: ClassVar[Mapping[str, str]] = {
        "keys": "borg on the app's host writes the directory itself, so nothing there can be kept from that host",
    }

    @property
    def mount(self) -> Path:
        return self.lab.folder / "disk: one"

    @property
    def config(self) -> Values:
        self.mount.mkdir(exist_ok=True)
        return {"kind": "local", "directory": str(self.folder)}

    @property
    def folder(self) -> Path:
        return self.mount / "100% ours"

    def truth(self) -> Usage:
        return space_of(self.mount)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Leave of the disk what is left when it is not mounted: the empty folder for it."""
        aside = self.mount.with_name("unmounted")
        self.mount.rename(aside)
        self.mount.mkdir()
        try:
            yield
        finally:
            self.mount.rmdir()
            aside.rename(self.mount)

    def cut(self) -> None:
        """Kill borg, which is all that there is between the host and the directory."""
        end_create(self.folder)

    def host_gone(self, app: Values) -> None:
        """Mount the disk, at its place, where the operator works."""
        app["host"] = "local"
        del app["ssh"]


class Staged(OnDisk):
    """A storage that borg cannot write to: the repository lies on a disk of the app's host, and is published."""

    lacks: ClassVar[Mapping[str, str]] = {
        "keys": "the host writes the published copy itself, so nothing there can be kept from that host",
    }
    directory = "my backups"
    daemon: process.Process

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        for app in self.lab.apps.values():
            program = app.paths.programs / "rclone"
            if not program.exists():
                program.symlink_to(s3.rclone())

    @property
    def staging(self) -> Path:
        return self.lab.folder / f"staging: {type(self).__name__}"

    @property
    def folder(self) -> Path:
        return self.staging / "store"

    @property
    def _staged(self) -> Values:
        return {"staging": str(self.staging)}

    @contextmanager
    def no_large_files(self, most: int) -> Iterator[None]:
        """Let the server write no file of more than `most` bytes: the S3 server fails, the SFTP session is killed."""
        before = resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, before)

    def cut(self) -> None:
        """Kill borg."""
        end_create(self.folder)


class Bucket(Staged):
    """A real S3 server."""

    directory = "my-backups/ours"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.server = s3.plan(self.lab.folder / "s3", "backups")
        self.daemon = self.server.start()

    @property
    def config(self) -> Values:
        secrets = {"access_key": {"file": self._file("access")}, "secret_key": {"file": self._file("secret")}}
        place = {"endpoint": self.server.endpoint, "bucket": "backups", "prefix": self.directory}
        return {"kind": "s3", **place, **secrets, **self._staged}

    def _file(self, name: str) -> str:
        file = self.server.folder.with_name(f"s3-{name}")
        file.write_text(getattr(self.server, f"{name}_key"))
        return str(file)

    @property
    def records(self) -> Path:
        return self.server.folder / "backups" / self.directory / "records"

    @property
    def stored(self) -> Path:
        return self.server.folder / "backups" / self.directory

    def truth(self) -> Usage:
        return Usage(size_of(self.server.folder), None)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.daemon = self.server.start()

    def close(self) -> None:
        process.end_all(lambda: process.descendants([self.daemon]))


class Sftp(Staged):
    """A real OpenSSH server that does nothing but SFTP."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.paths = sshd.HostPaths(self.lab.folder / "files")
        self.port = process.free_port()
        sshd.prepare(self.paths, self.port, keys.public(self.lab.operator_key), {})
        with (self.paths.ssh / "config").open("a") as config:
            config.write(f"ForceCommand internal-sftp -d {self.paths.home}\n")
        for host, app in (("shop", "shop"), ("blog", "blog"), ("blog", "fresh")):
            self.admit(host, app)
        self.daemon = self.start()

    def admit(self, host: str, app: str) -> None:
        """Make the key with which a host logs in for an app, and let it in."""
        key = self.lab.apps[host].home / f".ssh/cloudbackup_{app}"
        keys.make(key, app)
        with (self.paths.home / ".ssh/authorized_keys").open("a") as admitted:
            admitted.write(keys.public(key) + "\n")

    def start(self) -> process.Process:
        daemon = sshd.start(self.paths, {})
        process.wait_until(lambda: process.answers(self.port), "the SFTP server", daemon, self.paths.log)
        return daemon

    @property
    def config(self) -> Values:
        values = {"kind": "sftp", "host": "127.0.0.1", "port": self.port, "user": user_name()}
        return {
            **values,
            "directory": self.directory,
            "key": str(self.lab.operator_key),
            "host_key": self.host_key,
            **self._staged,
        }

    @property
    def records(self) -> Path:
        return self.stored / "records"

    @property
    def stored(self) -> Path:
        return self.paths.home / self.directory

    @property
    def host_key(self) -> str:
        return keys.pin(self.paths.host_key)

    def truth(self) -> Usage:
        """Return the space as rclone takes it from SFTP: with the blocks that only root may use."""
        about = os.statvfs(self.paths.home)
        return Usage((about.f_blocks - about.f_bfree) * about.f_frsize, about.f_blocks * about.f_frsize)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.daemon = self.start()

    def close(self) -> None:
        process.end_all(lambda: process.descendants([self.daemon]))


KINDS: Mapping[str, type[Place]] = {
    "storagebox": Box,
    "ssh": Server,
    "local": Directory,
    "s3": Bucket,
    "sftp": Sftp,
}


def end_create(folder: Path) -> None:
    """Kill the `borg create` that writes below a folder."""
    for pid in (int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
        if str(folder) in environment_of(pid) and " create " in command_line(pid):
            os.kill(pid, signal.SIGKILL)


every_kind = pytest.mark.parametrize("bench", KINDS, indirect=True)


def kinds_with(promise: str) -> pytest.MarkDecorator:
    """Make a test of all kinds but those that lack the promise."""
    return pytest.mark.parametrize("bench", [kind for kind in KINDS if promise not in KINDS[kind].lacks], indirect=True)


def space_of(path: Path) -> Usage:
    """Return the space of a file system, without the blocks that only root may use."""
    about = os.statvfs(path)
    used = (about.f_blocks - about.f_bfree) * about.f_frsize
    return Usage(used, used + about.f_bavail * about.f_frsize)
