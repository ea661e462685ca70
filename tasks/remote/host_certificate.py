"""A server's certificate: its host key, signed by an authority that known_hosts trusts (OpenSSH, PROTOCOL.certkeys)."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from tasks.remote.known_hosts import AUTHORITY, REVOKED, Known

SUFFIX = "-cert-v01@openssh.com"  # of the key type's name
OF_A_HOST = 2  # SSH2_CERT_TYPE_HOST; 1 is a user certificate
MOST_NAMES = 256  # OpenSSH accepts no more (SSHKEY_CERT_MAX_PRINCIPALS)
MOST = 1 << 16  # bytes of one certificate
# Number of fields that hold the public key itself, by key type.
NUMBERS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}
# Accepted CA signature types: as ssh, none with SHA-1 (ssh_config(5), CASignatureAlgorithms).
SIGNED_BY = frozenset((*(set(NUMBERS) - {"ssh-rsa"}), "rsa-sha2-256", "rsa-sha2-512"))


class CertificateError(ValueError):
    """A certificate does not make a server trusted; the text says why."""


@dataclass(frozen=True)
class HostCertificate:
    """Its fields: `names` of servers (none: all), times in seconds since 1970, the authority's key and signature."""

    kind: int
    names: tuple[str, ...]
    since: int
    until: int
    options: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    def require(self, lines: Iterable[Known], name: str, known_as: str, now: float) -> None:
        """Raise CertificateError unless it makes the server trusted now.

        `name` is the server's own name; `known_as` is how known_hosts writes it, with the port if that is not 22.
        """
        its = [line for line in lines if line.is_for(known_as)]
        if any(line.marker == REVOKED and line.blob == self.authority for line in its):
            raise CertificateError("its authority is revoked in known_hosts")
        if not any(line.marker == AUTHORITY and line.blob == self.authority for line in its):
            raise CertificateError("another authority signed it than known_hosts trusts for this host")
        if not self._is_signed():
            raise CertificateError("its signature is not the authority's")
        if self.kind != OF_A_HOST:
            raise CertificateError("it is a person's, not a host's")
        if self.names and name.lower() not in self.names:  # OpenSSH 9.2 accepts no patterns here
            raise CertificateError(f"it is for {', '.join(self.names)[:200]}")
        if not self.since <= now < self.until:
            raise CertificateError("it has expired" if now >= self.until else "it is not valid yet")
        if self.options:
            raise CertificateError("it has options that are not known here")

    def _is_signed(self) -> bool:
        with suppress(Exception):  # malformed keys and signatures raise exceptions of many types
            fields = _Fields(self.signature)
            algorithm = fields.text().decode()
            fields.text()
            if algorithm not in SIGNED_BY or fields.rest:
                return False
            key = paramiko.PKey.from_type_string(paramiko.Message(self.authority).get_text(), self.authority)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        return False


def read(blob: bytes) -> HostCertificate:
    """Return the parsed certificate. Raises CertificateError."""
    if len(blob) > MOST:
        raise CertificateError("it is too long")
    fields = _Fields(blob)
    kind = fields.text().decode(errors="replace").removesuffix(SUFFIX)
    if kind not in NUMBERS:
        raise CertificateError("it is of an unknown kind")
    for _ in range(1 + NUMBERS[kind]):  # the nonce, and the key
        fields.text()
    fields.take(8)  # the serial number
    of = int.from_bytes(fields.take(4), "big")
    fields.text()  # the key's id
    names: list[str] = []
    inner = _Fields(fields.text())
    while inner.rest and len(names) <= MOST_NAMES:
        names.append(inner.text().decode(errors="replace"))
    if len(names) > MOST_NAMES:
        raise CertificateError("it names too many hosts")
    since, until = (int.from_bytes(fields.take(8), "big") for _ in range(2))
    options = fields.text()
    fields.text()  # extensions, which hosts do not have
    fields.text()  # reserved
    authority = fields.text()
    signed = blob[: len(blob) - len(fields.rest)]
    signature = fields.text()
    if fields.rest:
        raise CertificateError("it has something behind its end")
    return HostCertificate(of, tuple(names), since, until, options, authority, signed, signature)


def judge(lines: Iterable[Known], name: str, known_as: str, blob: bytes) -> str:
    """Return why a certificate does not make the server `name` trusted; empty if it does."""
    try:
        read(blob).require(lines, name, known_as, time.time())
    except CertificateError as error:
        return str(error)
    return ""


class _Fields:
    """Reads one field after another."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def take(self, size: int) -> bytes:
        """Return the next bytes. Raises CertificateError."""
        found, self.rest = self.rest[:size], self.rest[size:]
        if len(found) < size:
            raise CertificateError("it is cut off")
        return found

    def text(self) -> bytes:
        """Return the next field, which is preceded by its length. Raises CertificateError."""
        return self.take(int.from_bytes(self.take(4), "big"))
