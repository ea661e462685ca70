"""Where to log in over ssh, and what the operator's ssh configuration says of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from tasks.remote import ssh_settings
from tasks.remote.address import known_name
from tasks.remote.advice import APP_HOST, Advice
from tasks.remote.secret import Secret


@dataclass(frozen=True)
class SshTarget:
    """Where to log in: `host` as in ssh ([user@]name); the operator's ssh configuration holds.

    `host_key` ("ssh-ed25519 AAAA...") pins the server's key; without it the operator's known_hosts decide.
    """

    host: str
    port: int | None = None
    key: Path | None = None
    host_key: str | None = None
    password: Secret | None = None
    advice: Advice = APP_HOST

    def resolved(self) -> ssh_settings.Settings:
        """Return what ssh would do to log in there. Raises HostError."""
        known = ssh_settings.settings(self.host, self.port)
        if self.key is not None:
            known = replace(known, identities=(Path(self.key),), identities_only=True)
        return known


def known_as(known: ssh_settings.Settings) -> str:
    """Return how known_hosts writes the server's name (ssh_config(5), HostKeyAlias)."""
    return known.alias or known_name(known.hostname, known.port)
