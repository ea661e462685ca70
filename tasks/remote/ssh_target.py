"""Where to log in over SSH, with the operator's ssh configuration applied."""

from dataclasses import dataclass, replace
from pathlib import Path

from tasks.remote import ssh_settings
from tasks.remote.address import known_name
from tasks.remote.advice import APP_HOST, Advice
from tasks.remote.become import Become
from tasks.remote.secret import Secret


@dataclass(frozen=True)
class SshTarget:
    """Where to log in: `host` as in ssh ([user@]name); the operator's ssh configuration applies.

    `host_key` ("ssh-ed25519 AAAA...") pins the server's key; without it, the operator's known_hosts decides. With
    `become`, everything there runs as another user than the one who logs in.
    """

    host: str
    port: int | None = None
    key: Path | None = None
    host_key: str | None = None
    password: Secret | None = None
    advice: Advice = APP_HOST
    become: Become | None = None

    def resolved(self) -> ssh_settings.Settings:
        """Return the settings with which ssh would log in there. Raises HostError."""
        known = ssh_settings.settings(self.host, self.port)
        if self.key is not None:
            known = replace(known, identities=(Path(self.key),), identities_only=True)
        return known


def known_as(known: ssh_settings.Settings) -> str:
    """Return the server's name as known_hosts writes it (ssh_config(5), HostKeyAlias)."""
    return known.alias or known_name(known.hostname, known.port)
