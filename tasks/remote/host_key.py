"""Which host keys are accepted: only the pinned one, or those in known_hosts, including its certificate authorities."""

import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko
from paramiko.hostkeys import HostKeyEntry

from tasks.remote import host_certificate, known_hosts
from tasks.remote.known_hosts import AUTHORITY, Known, Verdict
from tasks.remote.running import HostError
from tasks.remote.ssh_settings import Settings
from tasks.remote.ssh_target import SshTarget, known_as

OFFERED = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # signature algorithms offered for a key of this type
UNCERTIFIED = "it shows a key without one"
COMPARE = "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host prints the right fingerprint"


class UnknownHostKeyError(HostError):
    """A host presents a key that is neither in the inventory nor in known_hosts."""


class HostKeyError(paramiko.SSHException):
    """The server's key is not trusted; `verdict` says why, and `reason` why its certificate is not."""

    def __init__(self, verdict: Verdict, reason: str = "") -> None:
        super().__init__(verdict)
        self.verdict = verdict
        self.reason = reason


@dataclass(frozen=True)
class HostKeys:
    """The accepted keys of a server: `lines` as in known_hosts, its `name`, and the name as known_hosts writes it."""

    lines: Sequence[Known]
    name: str
    known_as: str

    @property
    def authorities(self) -> bool:
        """Return whether a certificate can make the server trusted."""
        return any(line.marker == AUTHORITY and line.is_for(self.known_as) for line in self.lines)

    def transport(self, plug: socket.socket, **options: object) -> paramiko.Transport:
        """Return a transport that negotiates a host key type that is known, as ssh does."""
        its = [line for line in self.lines if not line.marker and line.is_for(self.known_as)]
        kinds = {kind for line in its for kind in OFFERED.get(line.kind, (line.kind,))}
        transport = (_Certified if self.authorities else paramiko.Transport)(plug, **options)  # type: ignore[arg-type]
        security = transport.get_security_options()
        security.key_types = sorted(security.key_types, key=lambda kind: kind not in kinds)
        return transport

    def require(self, key: paramiko.PKey) -> None:
        """Raise HostKeyError unless the key is known, or certified by a known authority and not revoked."""
        verdict = known_hosts.judge(self.lines, self.known_as, key.get_name(), key.asbytes())
        if verdict == "right":
            return
        reason = ""
        if self.authorities and verdict != "revoked":
            shown = key.public_blob
            reason = (
                host_certificate.judge(self.lines, self.name, self.known_as, shown.key_blob) if shown else UNCERTIFIED
            )
            if not reason:
                return
        raise HostKeyError(verdict, reason)


def of_target(target: SshTarget, known: Settings) -> HostKeys:
    """Return the keys that a target may present: only the pinned one, or those in known_hosts. Raises HostError."""
    name = known.alias or known.hostname
    if target.host_key is None:
        return HostKeys(known_hosts.read(known.known_hosts), name, known_as(known))
    line = known_hosts.read_line(f"* {target.host_key}")
    if line is None:
        raise HostError(f"{target.host}: the host_key in the inventory is no key: {target.host_key[:40]}")
    return HostKeys([line], name, known_as(known))


class _Certified(paramiko.Transport):
    """Prefers certificates to plain keys."""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Return the key types, best first."""
        return tuple(sorted(super().preferred_keys, key=lambda kind: not kind.endswith(host_certificate.SUFFIX)))


class Policy(paramiko.MissingHostKeyPolicy):
    """Accepts known keys only."""

    def __init__(self, known: HostKeys) -> None:
        self._known = known

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Check a key. Called on every connection, since paramiko itself is given no known keys."""
        self._known.require(key)


def host_key_fault(place: str, target: SshTarget, known: Settings, error: HostKeyError) -> HostError:
    """Return the error for a key that is not trusted."""
    if error.reason:
        what = f"{place}: known_hosts trusts an authority for it, and its host certificate is not valid: {error.reason}"
        return UnknownHostKeyError(what, f"have its key signed again, or put host_key into the inventory; {COMPARE}")
    if error.verdict == "changed":
        remedy = (
            "ask whoever runs the host; if the new key is right, change host_key in the inventory"
            if target.host_key
            else f"ask whoever runs the host; if the new key is right: `ssh-keygen -R {shlex.quote(known_as(known))}`"
        )
        return HostError(f"{place}: its host key has changed: somebody may be listening in", remedy)
    if error.verdict == "revoked":
        return HostError(f"{place}: its host key is revoked in known_hosts", "ask whoever runs the host")
    keyscan = f", or put host_key into the inventory (`ssh-keyscan -p {known.port} {known.hostname}`)"
    return UnknownHostKeyError(
        f"{place}: its host key is unknown",
        "log in once with ssh and compare the fingerprint" + ("" if known.jump or known.command else keyscan),
    )


def fingerprint(public_key: str) -> str:
    """Return the SHA256 fingerprint of "ssh-ed25519 AAAA..." as ssh-keygen prints it."""
    entry = HostKeyEntry.from_line(f"host {public_key}")
    if entry is None or entry.key is None:
        raise ValueError(public_key)
    return str(entry.key.fingerprint)
