"""Storage kind `sftp`: an SFTP server without borg."""

import posixpath
import time
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tasks.answers import Answer, Count
from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.inventory.secrets import SecretReference
from tasks.inventory.storages import StorageConfig
from tasks.inventory.values import Directory, HostKey, HostName, HostPath, OperatorPath, Port, User
from tasks.remote.address import known_name, unbracketed
from tasks.remote.facts import apart
from tasks.remote.host import Host
from tasks.remote.script import Environment, quote
from tasks.remote.secret import Secret, resolve
from tasks.storage.base import Means, Usage
from tasks.storage.published.host.rclone import ASKING
from tasks.storage.published.publication import INSTALL, operator_path
from tasks.storage.published.storage import Staged
from tasks.storage.repository import Side
from tasks.storage.ssh import host_key_path

# Signature algorithms to negotiate for a pinned key's type; other types use their own name.
ALGORITHMS: Mapping[str, str] = {"ssh-rsa": "rsa-sha2-512 rsa-sha2-256"}


class _About(Answer):
    """The output of `rclone about`, in bytes."""

    used: Count
    free: Count


class SftpStorage(StorageConfig):
    """An SFTP server without borg: the repository lives in `staging` on the app's host and is published from there."""

    kind: Literal["sftp"]
    host: HostName = Field(description="the server's name or address")
    user: User = Field(description="the account there")
    port: Port = Field(22, description="the SFTP server's port")
    directory: Directory = Field(description="repositories are <directory>/<app>; relative: to the account's home")
    host_key: HostKey | None = Field(None, description="the server's public key, pinned: `ssh-ed25519 AAAA...`")
    key: OperatorPath | None = Field(None, description="the operator's private key; a host has a key of its own")
    password: SecretReference | None = Field(None, description="the account's password, where keys are not wanted")
    staging: HostPath = Field(description="folder on the app's host for the repository itself")


class SftpServer(Staged):
    """A folder on an SFTP server: `<directory>/<app>`."""

    rclone = (1, 63)  # the first version that gives an uploaded file its name only when it is complete

    def __init__(self, name: str, config: SftpStorage, means: Means) -> None:
        super().__init__(name, config.kind, config.directory, config.staging, means)
        self.config = config

    @property
    def root(self) -> str:
        """Return the account's home, where relative paths start."""
        return ""

    @property
    def server(self) -> tuple[str, int]:
        """Return the SFTP server's host and port."""
        return unbracketed(self.config.host), self.config.port

    def settings(self, side: Side, app: App | None) -> Environment:
        """Return rclone's SFTP settings: no shell is used, and only the configured key is offered."""
        config = self.config
        settings: dict[str, str | Secret] = {
            "TYPE": "sftp",
            "HOST": config.host,
            "USER": config.user,
            "PORT": str(config.port),
            "SHELL_TYPE": "none",
            "DISABLE_HASHCHECK": "true",
            # Files of the operator get the server's time, by which clocks are compared.
            "SET_MODTIME": "true" if side is Side.HOST else "false",
            "KNOWN_HOSTS_FILE": self._known_hosts(side) if config.host_key else "~/.ssh/known_hosts",
        }
        if config.host_key:
            kind = config.host_key.split()[0]
            settings["HOST_KEY_ALGORITHMS"] = ALGORITHMS.get(kind, kind)
        if config.password is not None:
            settings["PASS"] = self._obscured(resolve(config.password, f"the password of storage {self.name}"))
        elif side is Side.HOST and app is not None:
            settings["KEY_FILE"] = host_key_path("~", app)
        elif config.key is not None:
            settings["KEY_FILE"] = str(config.key)
        return settings

    def own_key(self, app: App, host: Host) -> tuple[str, str] | None:
        """Return the host's key, unless a password is used: we cannot install a key on a server without a shell."""
        if self.config.password is not None:
            return None
        return host_key_path(host.facts().home, app), f"{self.config.user}@{self.config.host}"

    def first(self, side: Side) -> str:
        """Return bash that pins the host key: rclone reads it only from a file, which contains no secret."""
        if self.config.host_key is None:
            return ""
        file = self._known_hosts(side)
        line = quote((f"{known_name(self.config.host, self.config.port)} {self.config.host_key}",))
        fresh = f'{quote((file,))}".$$"'
        there = f"grep -qsxF -e {line} {quote((file,))}"
        make = f"mkdir -p {quote((posixpath.dirname(file),))} && echo {line} >{fresh} && mv {fresh} {quote((file,))}"
        return f"{there} || {{ {make}; }}"

    @property
    def protected(self) -> bool | None:
        """Return False: SFTP has no versions, so write access allows overwriting and deleting."""
        return False

    def _ask_clock(self, app: App) -> float | None:  # noqa: ARG002
        """Ask by writing and removing a file. Each rclone call is a connection, so nothing else is checked."""
        began = time.time()
        written = self.files().clock(self.directory)
        return None if written is None else apart(written, began, time.time())

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002
        """Return the space of the account's file system, as `df` would."""
        space = self.files().answer(_About, ("about", "--json", *ASKING, self.address(self.directory)))
        return Usage(used=space.used, size=space.used + space.free)

    def _known_hosts(self, side: Side) -> str:
        place = self.own if side is Side.HOST else str(self.cache)
        return posixpath.join(place, "known_hosts")

    def _obscured(self, password: Secret) -> Secret:
        """Return a password in rclone's obscured form, which is reversible and so as secret as before."""
        return password.map(self._obscure)

    def _obscure(self, password: str) -> str:
        words = (*("env", f"PATH={operator_path()}"), "rclone", "--config=", "obscure", "-")
        output = self.means.operator.command(words, password.encode())
        if not output.ok:
            raise AppError(f"storage {self.name}: rclone does not run here: {output.error_text.strip()}", INSTALL)
        return output.text.strip()
