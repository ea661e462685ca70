"""Storage kind `ssh`: any SSH server with borg."""

import posixpath
import shlex
import threading
from pathlib import Path

from tasks.inventory import storages as configured
from tasks.inventory.models import App
from tasks.remote.agent import load_key
from tasks.remote.files import Files
from tasks.remote.script import Environment
from tasks.remote.ssh import SshHost, SshTarget, host_key_name
from tasks.storage.base import Client, Storage, Usage
from tasks.storage.repository import Side
from tasks.storage.space import parse_df

AGENT = "agent"
CONNECT_TIMEOUT = 20  # seconds
ALIVE_INTERVAL = 10  # seconds between two questions whether the server is there
ALIVE_COUNT = 30  # of them unanswered, and the connection is given up (borg's documentation of `serve`)
Config = configured.SshStorage | configured.StorageBox


class SshServer(Storage):
    """A server that runs `borg serve`: app hosts log in with an append-only key each, the operator with their own."""

    def __init__(self, name: str, config: Config, agent_keys: Path, cancelled: threading.Event) -> None:
        """`agent_keys` is the operator's folder with the keys of apps that have `storage_key: agent`."""
        super().__init__(name, config.kind, config.directory)
        self.config = config
        self.agent_keys = agent_keys
        self.server = SshHost(self.target(), cancelled)

    def target(self) -> SshTarget:
        """Return where the operator logs in."""
        config = self.config
        return SshTarget(f"{config.user}@{config.host}", config.port, config.key, config.host_key)

    def url(self, app: App) -> str:
        """Return the address; a relative folder starts in the account's home (`/./`, borg 1.2 `_resolve_path`)."""
        path = self.path(app)
        start = "" if path.startswith("/") else "/./"
        config = self.config
        return f"ssh://{config.user}@{config.host}:{config.port}{start}{path}"

    def reach(self, app: App, client: Client) -> Environment:
        """Return borg's ssh command and borg's name on the server. Raises UsageError."""
        return {"BORG_RSH": shlex.join(self.ssh_words(self._key(app, client))), "BORG_REMOTE_PATH": self.config.borg}

    def _key(self, app: App, client: Client) -> str | None:
        """Return the file of a client's key where borg runs; AGENT for a key that is served; None for ssh's own."""
        if client.side is Side.OPERATOR:
            return str(self.config.key) if self.config.key else None
        if app.storage_key == "host":
            return host_key_path(client.host.facts().home, app)
        path = agent_key_path(self.agent_keys, app)
        load_key(path)  # a missing one is told here, and not as a key that the storage refuses
        return str(path) if app.is_local else AGENT

    def ssh_words(self, key: str | None) -> list[str]:
        """Return the ssh command with which borg reaches the server. `key` is a file, AGENT, or None for ssh's own.

        It never asks, trusts the pinned host key alone (without leaving a file, OpenSSH 8.5 and later), and notices a
        dead connection after five minutes.
        """
        options = ["BatchMode=yes", f"ConnectTimeout={CONNECT_TIMEOUT}", "StrictHostKeyChecking=yes"]
        options += [f"ServerAliveInterval={ALIVE_INTERVAL}", f"ServerAliveCountMax={ALIVE_COUNT}"]
        if key == AGENT:
            options += ["IdentityAgent=SSH_AUTH_SOCK", "IdentityFile=none", "IdentitiesOnly=no"]
        elif key is not None:
            options.append("IdentitiesOnly=yes")
        if self.config.host_key is not None:
            known = f"{host_key_name(self.config.host, self.config.port)} {self.config.host_key}"
            options += [f"KnownHostsCommand=/bin/echo {known}"]
            options += ["UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"]
        words = ["ssh", *(["-i", key] if key not in (None, AGENT) else [])]
        for option in options:
            words += ["-o", option]
        return words

    def files(self, app: App) -> Files:  # noqa: ARG002  # one server holds all apps
        """Return the server's files over SFTP."""
        return self.server.files()

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002
        """Ask `df` for the file system of the directory."""
        return parse_df(self.server.command(("df", "-Pk", self.directory)), self.server.name)

    def serve_command(self, app: App) -> str:
        """Return the command that the app host's key is forced to: append to its own repository, nothing else."""
        words = [*shlex.split(self.config.borg), "serve", "--append-only", "--restrict-to-repository", self.path(app)]
        return shlex.join(words)

    def close(self) -> None:
        """Close the operator's connection."""
        self.server.close()


def agent_key_path(folder: Path, app: App) -> Path:
    """Return where the operator has the key of an app with `storage_key: agent`."""
    return folder / app.name


def host_key_path(home: str, app: App) -> str:
    """Return where an app's host has its own key for its repository."""
    return posixpath.join(home, ".ssh", f"cloudbackup_{app.name}")
