"""The lab: a Storage Box, app hosts with data, and an inventory of them, on loopback, in one folder.

lab = Lab.start(Path("/tmp/lab"))
subprocess.run(["./inv", "backup"], env={**os.environ, "INVOKE_INVENTORY": str(lab.inventory)})
lab.box.faults.full()
lab.stop()
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import accounts, database, keys, mariadb, settings, startup, state, teardown, tree
from lab.accounts import Account
from lab.faults import Faults
from lab.plan import DEFAULT_APPS, AppPlan, BoxPlan
from lab.settings import BoxPaths, BoxSettings
from lab.sshd import HostPaths
from lab.state import AppState, State
from tasks.errors import UsageError


class LabBox:
    """The Storage Box of a lab."""

    def __init__(self, paths: BoxPaths, box_settings: BoxSettings) -> None:
        self.paths = paths
        self.settings = box_settings
        self.faults = Faults(paths.control)

    @property
    def port(self) -> int:
        """Port on 127.0.0.1 that stands for port 23."""
        return self.settings.port

    @property
    def sftp_port(self) -> int:
        """Port on 127.0.0.1 that stands for port 22."""
        return self.settings.sftp_port

    def account(self, name: str = "") -> Account:
        """Return an account, the main one when no name is given. Raises UsageError."""
        for account in self.settings.accounts:
            if name in ("", account.name):
                return account
        raise UsageError(f"the lab's box has no account {name}")

    def home(self, name: str = "") -> Path:
        """Return where an account's home lies on this machine."""
        return self.paths.pool / self.account(name).directory

    def authorize(self, line: str, name: str = "") -> None:
        """Add a line of authorized_keys to an account, as `install-ssh-key` would."""
        accounts.install_keys(self.home(name), line)

    @property
    def host_key(self) -> str:
        """The host's public key: type and key."""
        return keys.pin(self.paths.host_key)


class LabApp:
    """An app host of a lab, its files and its database."""

    def __init__(self, app: AppState, paths: HostPaths) -> None:
        self.name = app.name
        self.port = app.port
        self.paths = paths
        self._server = app.server(paths)

    @property
    def home(self) -> Path:
        """$HOME on the host."""
        return self.paths.home

    @property
    def files(self) -> Path:
        """The app's files tree."""
        return self.paths.files

    @property
    def server(self) -> mariadb.Server:
        """The MariaDB server. Raises UsageError for an app that was planned without one."""
        if self._server is None:
            raise UsageError(f"the lab's app {self.name} has no MariaDB server")
        return self._server

    @property
    def has_server(self) -> bool:
        """Whether the app has a MariaDB server."""
        return self._server is not None

    @property
    def host_key(self) -> str:
        """The host's public key: type and key."""
        return keys.pin(self.paths.host_key)

    def change(self, seed: int = 1) -> None:
        """Change some files and rows; another `seed` changes others."""
        if self.files.exists():
            tree.change(self.files, seed)
        if self._server is not None:
            database.change(self._server, seed=seed)


class Lab:
    """A running lab, or what is left of one that was stopped."""

    def __init__(self, folder: Path, known: State) -> None:
        self.folder = folder
        self._state = known
        box_paths = BoxPaths(folder / "box")
        self.box = LabBox(box_paths, settings.load(box_paths.settings))
        self.apps = {app.name: LabApp(app, HostPaths(folder / "hosts" / app.name)) for app in known.apps}

    @classmethod
    def start(
        cls,
        folder: Path,
        apps: Sequence[AppPlan] = DEFAULT_APPS,
        box: BoxPlan | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> "Lab":
        """Start a lab in `folder`, which is made, or is empty, or held a lab that was stopped (that one's data goes).

        `progress` gets one line per step. Everything runs as daemons that outlive the caller and answer when this
        returns. Raises UsageError for a folder that will not do or a program that this machine lacks, CloudbackupError
        with a log's end when a server does not start; nothing is left running then.
        """
        folder = Path(os.path.realpath(folder))
        return cls(folder, startup.start(folder, apps, box or BoxPlan(), progress))

    @classmethod
    def find(cls, folder: Path) -> "Lab":
        """Attach to the lab in `folder`, running or not. Raises UsageError when there is none."""
        folder = Path(os.path.realpath(folder))
        known = state.load(folder)
        if not BoxPaths(folder / "box").settings.exists():
            raise UsageError(f"the lab in {folder} was never started whole", "start it again: inv lab.up")
        return cls(folder, known)

    @property
    def inventory(self) -> Path:
        """Folder for INVOKE_INVENTORY."""
        return self.folder / "inventory"

    @property
    def operator_key(self) -> Path:
        """The operator's private key: opens every host and the whole box."""
        return self.folder / "operator" / "id_ed25519"

    def status(self) -> dict[str, bool]:
        """Tell for each server whether it runs: `box`, `sshd <app>`, `mariadb <app>`."""
        found = {name: daemon.alive for name, daemon in self._state.processes.items()}
        for app in self.apps.values():
            if app.has_server:
                found[f"mariadb {app.name}"] = mariadb.running(app.server)
        return found

    @property
    def running(self) -> bool:
        """Whether all its servers run."""
        return all(self.status().values())

    def stop(self) -> int:
        """End all processes of the lab, those that its sessions left behind too; return how many. Its files stay."""
        return teardown.end(self.folder)

    def remove(self) -> None:
        """Stop the lab and remove what it made in its folder."""
        self.stop()
        teardown.clear(self.folder)


def scratch_folder() -> Path:
    """Make a folder for a lab that is thrown away: its path is short, and `nobody` may pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="cloudbackup-lab-"))
    folder.chmod(0o711)
    return folder
