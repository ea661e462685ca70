"""The lab: a Storage Box, app hosts with data, and an inventory of them, on loopback, in one folder.

lab = Lab.start(Path("/tmp/lab"))
subprocess.run(["./inv", "backup"], env={**os.environ, "INVOKE_INVENTORY": str(lab.inventory)})
lab.box.faults.full()
lab.stop()
"""

import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tasks.errors import CloudbackupError, UsageError
from tasks.lab import accounts, database, inventory, keys, mariadb, process, settings, sshd, state, tree
from tasks.lab.accounts import Account
from tasks.lab.faults import Faults
from tasks.lab.plan import DEFAULT_APPS, AppPlan, BoxPlan
from tasks.lab.process import MARKER, Process
from tasks.lab.settings import BoxPaths, BoxSettings
from tasks.lab.sshd import HostPaths
from tasks.lab.state import AppState, State

SOCKET_BYTES = 107  # unix(7): sun_path holds 108 bytes with the closing zero
LONGEST_SOCKET = "hosts/{app}/mariadb/run/s"
OWN_NAMES = ("box", "hosts", "operator", "inventory", "state.json")
CHECKOUT = Path(__file__).parents[2]


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

    def account(self, name: str = "") -> Account:
        """Return an account, the main one when no name is given."""
        return next(account for account in self.settings.accounts if account.name == name or not name)

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
        self.apps = {app.name: LabApp(app, _host_paths(folder, app.name)) for app in known.apps}

    @property
    def inventory(self) -> Path:
        """Folder for INVOKE_INVENTORY."""
        return self.folder / "inventory"

    @property
    def operator_key(self) -> Path:
        """The operator's private key: opens every host and the whole box."""
        return self.folder / "operator" / "id_ed25519"

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
        returns. Raises UsageError for a folder that will not do, CloudbackupError with a log's end when a server
        does not start; nothing is left running then.
        """
        folder = Path(os.path.realpath(folder))
        _claim(folder, apps)
        try:
            return _Start(folder, apps, box or BoxPlan(), progress).run()
        except BaseException:
            end(folder)
            raise

    @classmethod
    def find(cls, folder: Path) -> "Lab":
        """Attach to the lab in `folder`, running or not. Raises UsageError when there is none."""
        folder = Path(os.path.realpath(folder))
        return cls(folder, state.load(folder))

    def stop(self) -> int:
        """End all processes of the lab, those that its sessions left behind too; return how many. Its files stay."""
        for app in self.apps.values():
            if app.has_server:
                mariadb.stop(app.server, app.home)
        return end(self.folder)

    def remove(self) -> None:
        """Stop the lab and remove its folder's content."""
        self.stop()
        _clear(self.folder)

    def status(self) -> dict[str, bool]:
        """Tell for each server whether it runs: `box`, `sshd <app>`, `mariadb <app>`."""
        found = {name: process_.alive for name, process_ in self._state.processes.items()}
        for app in self.apps.values():
            if app.has_server:
                pid_file = app.server.socket.parent / "pid"
                found[f"mariadb {app.name}"] = (
                    pid_file.exists() and process.identify(int(pid_file.read_text())) is not None
                )
        return found

    @property
    def running(self) -> bool:
        """Whether all its servers run."""
        return all(self.status().values())


class _Start:
    """The steps of a start."""

    def __init__(self, folder: Path, apps: Sequence[AppPlan], box: BoxPlan, progress: Callable[[str], None]) -> None:
        self.folder = folder
        self.apps = apps
        self.box = box
        self.progress = progress
        self.environment = {MARKER: str(folder)}
        self.states = tuple(AppState.of(plan) for plan in apps)
        self._known = State(self.states, {})
        self._lock = Lock()

    def run(self) -> Lab:
        operator = self.folder / "operator"
        for place in (operator / "secrets", operator / "escrow"):
            place.mkdir(mode=0o700, parents=True)
        operator.chmod(0o700)
        keys.make(operator / "id_ed25519", "lab operator")
        self._start_box()
        with ThreadPoolExecutor(max_workers=max(1, len(self.states))) as pool:
            list(pool.map(self._start_app, self.apps, self.states))
        lab = Lab(self.folder, self._known)
        inventory.write(self.folder, lab.box.settings, lab.box.host_key, list(zip(self.apps, self.states, strict=True)))
        return lab

    def _record(self, name: str, daemon: Process) -> None:
        """Write a daemon down at once, so that a start that fails later can end it."""
        with self._lock:
            self._known = State(self.states, {**self._known.processes, name: daemon})
            state.save(self.folder, self._known)

    def _start_box(self) -> None:
        paths = BoxPaths(self.folder / "box")
        paths.pool.mkdir(parents=True, mode=0o755)
        keys.make(paths.host_key, "lab box")
        keys.make(paths.other_host_key, "another box")
        settings.save(self.box.settings(process.free_port()), paths.settings)
        if self.box.operator_key:
            accounts.install_keys(paths.pool, keys.public(self.folder / "operator/id_ed25519"))
        port = settings.load(paths.settings).port
        words = (sys.executable, "-P", "-m", "tasks.lab.box", str(paths.folder))
        environment = {**self.environment, "PYTHONPATH": str(CHECKOUT)}
        daemon = process.spawn(words, paths.log, environment, CHECKOUT)
        self._record("box", daemon)
        process.wait_until(lambda: process.answers(port), "the Storage Box emulator", daemon, paths.log)
        self.progress(f"Storage Box emulator on port {port}")

    def _start_app(self, plan: AppPlan, app: AppState) -> None:
        paths = _host_paths(self.folder, app.name)
        sshd.prepare(paths, app.port, keys.public(self.folder / "operator/id_ed25519"), self.environment)
        self._record(f"sshd {app.name}", sshd.start(paths, app.port, self.environment))
        self.progress(f"{app.name}: sshd on port {app.port}")
        if plan.files:
            tree.make(paths.files, plan.files_megabytes)
        server = app.server(paths)
        if server is not None:
            mariadb.prepare(server, self.environment)
            mariadb.write_scripts(server, paths.home)
            mariadb.start(server, paths.home, self.environment)
            database.fill(server, plan.megabytes)
            if plan.login == "defaults-file":
                options = paths.home / ".my.cnf"
                options.touch(mode=0o600)
                options.write_text(mariadb.client_options(mariadb.BACKUP_USER, server.backup_password, server.socket))
            self.progress(f"{app.name}: MariaDB on port {server.port} with {plan.megabytes} MB")


def scratch_folder() -> Path:
    """Make a folder for a lab that is thrown away: its path is short, and `nobody` may pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="cloudbackup-lab-"))
    folder.chmod(0o711)
    return folder


def end(folder: Path) -> int:
    """End all processes of the lab in `folder`, whoever started them there; return how many it were."""
    return process.end_all(lambda: _members(folder))


def _members(folder: Path) -> set[Process]:
    try:
        started = state.load(folder).processes.values()
    except UsageError:
        return set(process.members(folder))
    return process.descendants(started).union(process.members(folder))


def _host_paths(folder: Path, name: str) -> HostPaths:
    return HostPaths(folder / "hosts" / name)


def _claim(folder: Path, apps: Sequence[AppPlan]) -> None:
    """Make the folder ready for a start. Raises UsageError."""
    if _members(folder):
        raise UsageError(f"a lab is already running in {folder}", "stop it first: inv lab.down")
    if folder.exists() and any(folder.iterdir()):
        state.load(folder)  # refuses a folder that holds something else
        _clear(folder)
    _check_sockets(folder, apps)
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)
    if os.geteuid() == 0 and any(app.mariadb for app in apps):
        _check_passage(folder)
    state.save(folder, State((), {}))


def _check_sockets(folder: Path, apps: Sequence[AppPlan]) -> None:
    for name in ("box/control", *(LONGEST_SOCKET.format(app=app.name) for app in apps if app.mariadb)):
        length = len(os.fsencode(folder / name))
        if length > SOCKET_BYTES:
            raise UsageError(
                f"a socket's path in the lab would have {length} bytes; the system allows {SOCKET_BYTES}: {folder}",
                "choose a folder with a shorter path",
            )


def _check_passage(folder: Path) -> None:
    """As root the lab's MariaDB runs as `nobody`, which must be able to walk to its data."""
    nobody = pwd.getpwnam("nobody")
    for place in (folder, *folder.parents):
        about = place.stat()
        if about.st_uid != nobody.pw_uid and not about.st_mode & stat.S_IXOTH:
            raise UsageError(
                f"the user nobody, as whom the lab's MariaDB runs, may not pass through {place}",
                f"choose another folder, or: chmod o+x {place}",
            )


def _clear(folder: Path) -> None:
    """Remove what a lab made in its folder, and nothing else."""
    if _members(folder):
        raise CloudbackupError(f"the lab in {folder} still runs")
    for name in OWN_NAMES:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
