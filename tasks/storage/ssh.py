"""Storage kind `ssh`: any SSH server with borg."""

import posixpath
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tasks.inventory.models import App
from tasks.inventory.storages import SshAccount, StorageConfig
from tasks.inventory.values import Directory, HostKey, HostName, OperatorPath, Port, Program, User
from tasks.remote.address import bracketed, unbracketed
from tasks.remote.advice import STORAGE
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.openssh import NEWEST, OpenSsh
from tasks.remote.running import HostError
from tasks.remote.script import Environment, Script, Words, quote
from tasks.remote.ssh_target import SshTarget
from tasks.storage.base import Client, Means, Storage, Usage
from tasks.storage.host import kept_in_memory
from tasks.storage.repository import Repository, Side
from tasks.storage.space import parse_df

if TYPE_CHECKING:
    from tasks.storage.storagebox import StorageBox

AGENT = "agent"
CONNECT_TIMEOUT = 20  # seconds
ALIVE_INTERVAL = 10  # seconds between two keepalives
ALIVE_COUNT = 30  # unanswered keepalives until the connection is closed (borg's documentation of `serve`)
# For ssh before 8.5, which reads a pinned key only from a file: $1 is its line, $2 the program that keeps it in memory
# and becomes the rest, a shell through which ssh reads it (proc(5), /proc/pid/fd): nothing is left behind. Where borg
# brings its own python3, and there is no other, the file is unlinked before ssh starts.
_KEEPING = """\
line=$1 program=$2 run=$3; shift 3
if command -v python3 >/dev/null; then exec python3 -I -S -c "$program" "$line" /bin/sh -c "$run" sh "$@"; fi
umask 077; file=$(mktemp) && printf '%s\\n' "$line" >"$file" && exec 3<"$file" && rm -f "$file" || exit 255
eval "$run"
"""
_KEPT = Path(kept_in_memory.__file__).read_text(encoding="utf-8")
_RUN = 'program=$1; shift; "$program" -o UserKnownHostsFile=/proc/$$/fd/3 "$@"; exit $?'

_UNREACHABLE = re.compile(
    r"(?<=: )(?:Connection (?:refused|timed out)|No route to host|Network is unreachable|Name or service not known|"
    r"Temporary failure in name resolution|No address associated with hostname)|"
    r"Could not resolve hostname[^\n\r]{0,200}|Connection timed out during banner exchange"
)


class SshStorage(StorageConfig):
    """Any SSH server with borg."""

    kind: Literal["ssh"]
    host: HostName = Field(description="the server's name or address")
    user: User = Field(description="the account there")
    port: Port = Field(22, description="the SSH server's port")
    directory: Directory = Field(description="repositories are <directory>/<app>; relative: to the account's home")
    borg: Program = Field("borg", description="borg's name on the server")
    host_key: HostKey | None = Field(None, description="the server's public key, pinned: `ssh-ed25519 AAAA...`")
    key: OperatorPath | None = Field(None, description="the operator's private key with full access")

    @property
    def account(self) -> SshAccount:
        """The account on the server."""
        return SshAccount(self.user, self.host, self.port, self.host_key)


class SshServer(Storage):
    """A server that runs `borg serve`: app hosts log in with an append-only key each, the operator with their own.

    `both_ports` is True if a key must be written in two forms, for each of the server's ports.
    """

    both_ports = False
    unreachable_remedy = "look at that machine's firewall and network"

    def __init__(self, name: str, config: "SshStorage | StorageBox", means: Means) -> None:
        from tasks.remote.ssh import SshHost  # paramiko takes a while to load, and many tasks open no connection

        super().__init__(name, config.kind, config.directory)
        self.config = config
        self.agent_keys = means.agent_keys
        self.server = SshHost(self.target(), means.cancelled)

    @property
    def account(self) -> "SshServer":
        """The server itself."""
        return self

    def target(self) -> SshTarget:
        """Return where the operator logs in."""
        config = self.config
        place = f"{config.user}@{bracketed(config.host)}"
        return SshTarget(place, config.port, config.key, config.host_key, advice=STORAGE)

    def url(self, app: App) -> str:
        """Return `ssh://user@host:port/path`; a relative path starts in the home (`/./`, borg 1.2 `_resolve_path`)."""
        path = self.path(app)
        start = "" if path.startswith("/") else "/./"
        config = self.config
        return f"ssh://{config.user}@{bracketed(config.host)}:{config.port}{start}{path}"

    def reach(self, app: App, client: Client) -> Environment:
        """Return borg's ssh command and the name of borg on the server. Raises UsageError."""
        words = self.ssh_words(self._key(app, client), client.host.facts().ssh)
        return {"BORG_RSH": shlex.join(words), "BORG_REMOTE_PATH": self.config.borg}

    def _key(self, app: App, client: Client) -> str | None:
        """Return the path of a client's key where borg runs; AGENT for a served key; None for ssh's own keys."""
        from tasks.remote.agent import load_key
        from tasks.remote.login import refuse_open_key

        if client.side is Side.OPERATOR:
            if self.config.key is not None:
                refuse_open_key(self.config.key, f"storage {self.name}")
            return str(self.config.key) if self.config.key else None
        if app.storage_key == "host":
            return host_key_path(client.host.facts().home, app)
        path = agent_key_path(self.agent_keys, app)
        load_key(path)  # a missing one is reported here, not as a key that the storage refuses
        return str(path) if app.is_local else AGENT

    def ssh_words(self, key: str | None, ssh: OpenSsh = NEWEST) -> list[str]:
        """Return the command with which borg reaches the server. `key` is a file, AGENT, or None for ssh's own keys.

        It never prompts, ignores options in a user's `Host *` that would break or widen it, trusts only the pinned host
        key, leaves no file behind, and detects a dead connection after five minutes. `ssh` is the program where borg
        runs.
        """
        options = [*ssh.options(), f"ConnectTimeout={CONNECT_TIMEOUT}"]
        options += [f"ServerAliveInterval={ALIVE_INTERVAL}", f"ServerAliveCountMax={ALIVE_COUNT}"]
        if key is not None:
            options += ["PubkeyAuthentication=yes", "PreferredAuthentications=publickey"]
        if key == AGENT:
            options += ["IdentityAgent=SSH_AUTH_SOCK", "IdentityFile=none", "IdentitiesOnly=no"]
        elif key is not None:
            options.append("IdentitiesOnly=yes")
        words = ["ssh", "-T", *(["-i", key] if key not in (None, AGENT) else [])]
        if self.config.host_key is None:
            return words + _as_words(options)
        name = unbracketed(self.config.host)
        options += [f"HostKeyAlias={name}", "CheckHostIP=no", "GlobalKnownHostsFile=/dev/null"]
        known = f"{name} {self.config.host_key}"
        if ssh.known_hosts_command:
            options += [f"KnownHostsCommand=/bin/echo {known}", "UserKnownHostsFile=/dev/null"]
            return words + _as_words(options)
        return ["/bin/sh", "-c", _KEEPING, "sh", known, _KEPT, _RUN, *words, *_as_words(options)]

    def refuse_unreachable(self, host: Host) -> None:
        """Raise HostError if a host's ssh cannot reach an SSH server at the storage's address; no key is tried."""
        config = self.config
        words = [*self.ssh_words(None, host.facts().ssh), "-o", "PreferredAuthentications=none", "-p", str(config.port)]
        account = f"{config.user}@{unbracketed(config.host)}"
        said = host.run(Script(quote([*words, account, "true"])), timeout=60).error_text
        found = _UNREACHABLE.search(said)
        if found is not None:
            what = f"{host.name} cannot reach the storage {self.name} at {config.host}, port {config.port}: {found[0]}"
            raise HostError(what, self.unreachable_remedy, transient=True)

    def files(self, app: App) -> Files:  # noqa: ARG002  # one server for all apps
        """Return the server's files over SFTP."""
        return self.server.files()

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002
        """Run `df` for the directory's file system."""
        return parse_df(self.server.command(("df", "-Pk", self.directory)), self.server.name)

    def serve_command(self, app: App) -> str:
        """Return the forced command of the app host's key: append to its own repository, nothing else."""
        words = [*shlex.split(self.config.borg), "serve", "--append-only", "--restrict-to-repository", self.path(app)]
        return shlex.join(words)

    def serve_words(self, app: App, repository: Repository) -> Words:
        """Return the ssh that starts `borg serve` at the storage, by the operator's own key."""
        config = self.config
        ssh = shlex.split(str(repository.environment["BORG_RSH"]))
        account = f"{config.user}@{unbracketed(config.host)}"
        return (*ssh, "-p", str(config.port), account, self.serve_command(app))

    def close(self) -> None:
        """Close the operator's connection."""
        self.server.close()


def _as_words(options: Iterable[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def agent_key_path(folder: Path, app: App) -> Path:
    """Return the path on the operator's machine of the key of an app with `storage_key: agent`."""
    return folder / app.name


def host_key_path(home: str, app: App) -> str:
    """Return the path on an app's host of its own key for its repository."""
    return posixpath.join(home, ".ssh", f"cloudbackup_{app.name}")
