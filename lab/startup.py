"""How a lab starts: a folder that will do, then the box, then all app hosts at the same time, then the inventory."""

import os
import pwd
import stat
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from lab import accounts, database, inventory, keys, mariadb, process, scripts, settings, sshd, state, teardown, tree
from lab.plan import AppPlan, BoxPlan
from lab.process import MARKER, Process
from lab.settings import BoxPaths
from lab.sshd import HostPaths
from lab.state import AppState, State
from tasks.errors import UsageError

SOCKET_BYTES = 107  # unix(7): a socket's path holds 108 bytes with the closing zero
CHECKOUT = Path(__file__).parents[1]


def start(folder: Path, apps: Sequence[AppPlan], box: BoxPlan, progress: Callable[[str], None]) -> State:
    """Start a lab in `folder` and return what is to be remembered of it. For the rest see `Lab.start`."""
    claim(folder, apps)
    try:
        return _Start(folder, apps, box, progress).run()
    except BaseException:
        teardown.end(folder)
        raise


class _Start:
    """The steps of a start."""

    def __init__(self, folder: Path, apps: Sequence[AppPlan], box: BoxPlan, progress: Callable[[str], None]) -> None:
        self.folder = folder
        self.apps = apps
        self.box = box
        self.progress = progress
        self.environment = {MARKER: str(folder)}
        self.states = tuple(AppState.of(plan) for plan in apps)
        self.known = State(self.states, {})
        self.lock = Lock()
        self.operator_key = folder / "operator" / "id_ed25519"

    def run(self) -> State:
        for name in ("secrets", "escrow"):
            (self.folder / "operator" / name).mkdir(mode=0o700, parents=True)
        (self.folder / "operator").chmod(0o700)
        keys.make(self.operator_key, "lab operator")
        self.start_box()
        with ThreadPoolExecutor(max_workers=max(1, len(self.states))) as pool:
            list(pool.map(self.start_app, self.apps, self.states))
        paths = BoxPaths(self.folder / "box")
        inventory.write(
            self.folder,
            settings.load(paths.settings),
            keys.pin(paths.host_key),
            list(zip(self.apps, self.states, strict=True)),
        )
        return self.known

    def record(self, name: str, daemon: Process) -> None:
        """Write a daemon down at once, so that a start that fails later can end it."""
        with self.lock:
            self.known = State(self.states, {**self.known.processes, name: daemon})
            state.save(self.folder, self.known)

    def start_box(self) -> None:
        paths = BoxPaths(self.folder / "box")
        paths.pool.mkdir(parents=True, mode=0o755)
        keys.make(paths.host_key, "lab box")
        keys.make(paths.other_host_key, "another box")
        if self.box.operator_key:
            accounts.install_keys(paths.pool, keys.public(self.operator_key))
        port = process.free_port()
        settings.save(self.box.settings(port, process.free_port(), process.free_port()), paths.settings)
        words = (sys.executable, "-P", "-m", "lab.box", str(paths.folder))
        daemon = process.spawn(words, paths.log, {**self.environment, "PYTHONPATH": str(CHECKOUT)}, CHECKOUT)
        self.record("box", daemon)
        process.wait_until(lambda: process.answers(port), "the Storage Box emulator", daemon, paths.log)
        self.progress(f"Storage Box emulator on port {port}")

    def start_app(self, plan: AppPlan, app: AppState) -> None:
        paths = HostPaths(self.folder / "hosts" / app.name)
        sshd.prepare(paths, app.port, keys.public(self.operator_key), self.environment)
        if plan.borg:
            (paths.programs / "borg").symlink_to(plan.borg)
        daemon = sshd.start(paths, self.environment)
        self.record(f"sshd {app.name}", daemon)
        process.wait_until(lambda: process.answers(app.port), f"sshd of {app.name}", daemon, paths.log)
        self.progress(f"{app.name}: sshd on port {app.port}")
        if plan.files:
            tree.make(paths.files, plan.files_megabytes)
        server = app.server(paths)
        if server is not None:
            self.start_server(plan, server, paths)
            self.progress(f"{app.name}: MariaDB on port {server.port} with {plan.megabytes} MB")

    def start_server(self, plan: AppPlan, server: mariadb.Server, paths: HostPaths) -> None:
        mariadb.prepare(server, self.environment)
        scripts.write(server, paths.home)
        mariadb.start(server, paths.home, self.environment)
        database.fill(server, plan.megabytes)
        if plan.login == "defaults-file":
            options = paths.home / ".my.cnf"
            options.touch(mode=0o600)
            options.write_text(mariadb.client_options(mariadb.BACKUP_USER, server.backup_password, server.socket))


def claim(folder: Path, apps: Sequence[AppPlan]) -> None:
    """Make the folder ready for a start. Raises UsageError."""
    if teardown.members(folder):
        raise UsageError(f"a lab is already running in {folder}", "stop it first: inv lab.down")
    _check_sockets(folder, apps)
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        raise UsageError(f"the folder {folder} belongs to {folder.owner()}", "choose a folder of your own")
    if folder.exists() and any(folder.iterdir()):
        state.load(folder)  # refuses a folder that holds something else
        teardown.clear(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)
    if os.geteuid() == 0 and any(app.mariadb for app in apps):
        _check_passage(folder)
    state.save(folder, State((), {}))


def _check_sockets(folder: Path, apps: Sequence[AppPlan]) -> None:
    sockets = [BoxPaths(folder / "box").control]
    sockets += [HostPaths(folder / "hosts" / app.name).mariadb / mariadb.SOCKET for app in apps if app.mariadb]
    length = max(len(os.fsencode(path)) for path in sockets)
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
