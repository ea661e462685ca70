"""What a lab shall hold: the arguments of `Lab.start`."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab import programs
from lab.accounts import Account
from lab.settings import BX11, BoxSettings

Login = Literal["defaults-file", "socket", "tcp"]
BORG_1_4_VARIABLE = "CLOUDBACKUP_LAB_BORG_1_4"
MAIN_ACCOUNT = "u100001"


@dataclass(frozen=True)
class AppPlan:
    """An app: a host with files and a MariaDB server.

    `login` is how the backup account logs in: by `$HOME/.my.cnf` on the host, or with user and password over the socket
    or over TCP. `storage_key` is the inventory's. `borg` is the program that `borg` means on this host, this machine's
    own unless given.
    """

    name: str
    megabytes: int = 8
    files_megabytes: int = 4
    mariadb: bool = True
    files: bool = True
    binlog: bool = False
    login: Login = "defaults-file"
    storage_key: Literal["host", "agent"] = "host"
    borg: str = ""


DEFAULT_APPS = (AppPlan("shop"), AppPlan("blog", login="socket"))


@dataclass(frozen=True)
class BoxPlan:
    """A Storage Box.

    `borg` maps names of the restricted shell to programs, over the default: every name is this machine's borg, but for
    `borg-1.4` when the environment variable CLOUDBACKUP_LAB_BORG_1_4 names another program.
    `operator_key` installs the operator's public key beforehand. For the rest see `BoxSettings`.
    """

    accounts: tuple[Account, ...] = (Account(MAIN_ACCOUNT, "lab password"),)
    borg: Mapping[str, str] | None = None
    quota: int = BX11
    connections: int = 10
    refusal: Literal["before-banner", "after-login"] = "before-banner"
    scope: Literal["box", "account"] = "box"
    operator_key: bool = True

    def settings(self, port: int, sftp_port: int, api_port: int) -> BoxSettings:
        """Return the settings of the server, with a new token for its API. UsageError without a borg here."""
        installed = programs.find("borg")
        names = dict.fromkeys(("borg", "borg-1.2"), installed)
        names["borg-1.4"] = os.environ.get(BORG_1_4_VARIABLE) or installed
        names |= self.borg or {}
        token = secrets.token_urlsafe(48)
        return BoxSettings(
            port,
            sftp_port,
            self.accounts,
            names,
            self.quota,
            self.connections,
            self.refusal,
            self.scope,
            api_port,
            token,
        )
