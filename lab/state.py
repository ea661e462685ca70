"""What a lab remembers in its folder, so that another process can find and stop it."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.mariadb import Server
from lab.plan import AppPlan
from lab.process import Process, free_port
from lab.sshd import HostPaths
from tasks.errors import UsageError

NAME = "state.json"
VERSION = 1


@dataclass(frozen=True)
class AppState:
    """Ports and password of an app."""

    name: str
    port: int
    mariadb_port: int
    binlog: bool
    backup_password: str

    @classmethod
    def of(cls, plan: AppPlan) -> "AppState":
        """Choose free ports and a password with everything that quoting can get wrong."""
        password = f'it\'s "odd" \\ $HOME #{secrets.token_urlsafe(12)}'
        return cls(plan.name, free_port(), free_port() if plan.mariadb else 0, plan.binlog, password)

    def server(self, paths: HostPaths) -> Server | None:
        """Return the app's MariaDB server, None when it has none."""
        if not self.mariadb_port:
            return None
        return Server(self.name, paths.mariadb, self.mariadb_port, self.binlog, self.backup_password)


@dataclass(frozen=True)
class State:
    """All apps and the daemons that the lab started itself."""

    apps: tuple[AppState, ...]
    processes: dict[str, Process]


def save(folder: Path, state: State) -> None:
    """Write the state, readable for its owner only."""
    path = folder / NAME
    path.touch(mode=0o600)
    path.write_text(json.dumps({"version": VERSION, **asdict(state)}, indent=2))


def load(folder: Path) -> State:
    """Read the state. Raises UsageError when the folder holds no lab."""
    try:
        values = json.loads((folder / NAME).read_text())
        if values["version"] != VERSION:
            raise UsageError(f"the lab in {folder} was made by another version of cloudbackup", "remove the folder")
        return State(
            tuple(AppState(**app) for app in values["apps"]),
            {name: Process(**process) for name, process in values["processes"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"there is no lab in {folder}", "start one with: inv lab.up") from error
