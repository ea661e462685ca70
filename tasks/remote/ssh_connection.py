"""One connection to a host: as ssh's own settings say it, strict about the host keys of the host and of each hop."""

import base64
import logging
import shlex
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import paramiko
from fabric import Config, Connection
from paramiko.hostkeys import HostKeyEntry

from tasks.remote import jump, known_hosts, ssh_settings
from tasks.remote.address import known_name, where
from tasks.remote.advice import APP_HOST, Advice
from tasks.remote.known_hosts import AUTHORITY, Known
from tasks.remote.login import KeyLogin, LoginError, LoginRefusedError, PasswordLogin, refuse_open_key
from tasks.remote.running import HostError
from tasks.remote.script import quote
from tasks.remote.secret import Secret

OFFERED = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # under which names a server shows a key of this type
COMPARE = "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host prints the right fingerprint"

# Faults are raised, and told once: paramiko would print tracebacks of its own threads beside them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class UnknownHostKeyError(HostError):
    """A host shows a key that neither the inventory nor known_hosts has."""


class _HostKeyError(paramiko.SSHException):
    """The key that a server shows is not to be trusted; `verdict` says why."""

    def __init__(self, verdict: str) -> None:
        super().__init__(verdict)
        self.verdict = verdict


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


class Line:
    """An open connection: Fabric's, paramiko's transport in it, and the proxy through which it goes, if any."""

    def __init__(self, connection: Connection, proxy: jump.Proxy | None) -> None:
        self._connection = connection
        self._proxy = proxy
        transport = connection.transport
        assert isinstance(transport, paramiko.Transport)
        self.transport = transport

    @property
    def is_active(self) -> bool:
        """Whether it still stands."""
        return self.transport.is_active()

    def close(self) -> None:
        """Close it, and end its proxy."""
        _hang_up(self._connection)
        if self._proxy is not None:
            self._proxy.close()


def connect(target: SshTarget) -> Line:
    """Log in. Raises HostError: UnknownHostKeyError for a key that nobody knows, LoginRefusedError for a refusal."""
    known = target.resolved()
    place = where(target.host, known.port)
    if target.key is not None:
        refuse_open_key(Path(target.key), place)
    trusted = _trusted(target, known)
    proxy = _proxy(target, known)
    login = PasswordLogin(known.user, target.password.reveal) if target.password else KeyLogin(known)
    connection = Connection(
        known.hostname,
        user=known.user,
        port=known.port,
        config=Config(ssh_config=paramiko.SSHConfig()),
        connect_timeout=known.timeout,
        connect_kwargs={
            "banner_timeout": known.timeout,
            "auth_timeout": known.timeout,
            "auth_strategy": login,
            "transport_factory": _transport_factory(trusted, _name(known)),
        },
    )
    connection.client.set_missing_host_key_policy(_Policy(trusted, _name(known)))
    try:
        connection.connect_kwargs["sock"] = proxy.plug if proxy else plug(known)
        connection.open()
    except Exception as error:
        _hang_up(connection)
        _refuse(target, known, error, proxy, trusted)
    except BaseException:
        _hang_up(connection)
        if proxy is not None:
            proxy.close()
        raise
    return Line(connection, proxy)


def _hang_up(connection: Connection) -> None:
    """Close a connection, also one that did not get as far as a login: Fabric takes that for none and leaves it open.

    What is left so counts at the server, and a Storage Box takes 10 at once.
    """
    connection.close()
    connection.client.close()


def _name(known: ssh_settings.Settings) -> str:
    """Return under which name known_hosts has the server (ssh_config(5), HostKeyAlias)."""
    return known.alias or known_name(known.hostname, known.port)


def _proxy(target: SshTarget, known: ssh_settings.Settings) -> jump.Proxy | None:
    words = jump.through(known, target.host)
    return jump.Proxy(words) if words else None


def plug(known: ssh_settings.Settings) -> socket.socket:
    """Return a socket that is connected to the server, by the first address that takes it. Raises OSError."""
    fault: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for family, kind, _, _, address in socket.getaddrinfo(known.hostname, known.port, known.family, socket.SOCK_STREAM):
        made = socket.socket(family, kind)
        try:
            made.settimeout(known.timeout)
            if known.bind:
                made.bind((known.bind, 0))
            made.connect(address)
        except OSError as error:
            made.close()
            fault = error
        else:
            return made
    raise fault


def _trusted(target: SshTarget, known: ssh_settings.Settings) -> list[Known]:
    """Return the keys that the server may show: the pinned one alone, or those of known_hosts. Raises HostError."""
    if target.host_key is None:
        return known_hosts.read(known.known_hosts)
    line = known_hosts.read_line(f"* {target.host_key}")
    if line is None:
        raise HostError(f"{target.host}: the host_key in the inventory is no key: {target.host_key[:40]}")
    return [line]


class _Policy(paramiko.MissingHostKeyPolicy):
    """Accepts the keys that are trusted for a name, and no other."""

    def __init__(self, trusted: Sequence[Known], name: str) -> None:
        self._trusted = trusted
        self._name = name

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Judge a key; called for each connection, as paramiko itself is given no known keys."""
        verdict = known_hosts.judge(self._trusted, self._name, key.get_name(), key.asbytes())
        if verdict != "right":
            raise _HostKeyError(verdict)


def _transport_factory(trusted: Sequence[Known], name: str) -> Callable[..., paramiko.Transport]:
    """Return what makes a transport that asks the server for a key of a type that is known, as ssh does."""
    kinds = [kind for line in trusted if not line.marker and line.is_for(name) for kind in _offered(line.kind)]

    def make(plug: socket.socket, **options: object) -> paramiko.Transport:
        transport = paramiko.Transport(plug, **options)  # type: ignore[arg-type]
        security = transport.get_security_options()
        security.key_types = sorted(security.key_types, key=lambda kind: kind not in kinds)
        return transport

    return make


def _offered(kind: str) -> tuple[str, ...]:
    return OFFERED.get(kind, (kind,))


def _refuse(
    target: SshTarget,
    known: ssh_settings.Settings,
    error: Exception,
    proxy: jump.Proxy | None,
    trusted: Sequence[Known],
) -> NoReturn:
    """Raise what a person is told of a connection that could not be made."""
    place = where(target.host, known.port)
    if proxy is not None:
        said = "" if isinstance(error, _HostKeyError | LoginError) else proxy.last_words()
        proxy.close()
        if said or not isinstance(error, _HostKeyError | LoginError):
            raise _way_fault(place, known, said) from error
    if isinstance(error, _HostKeyError):
        raise _host_key_fault(place, target, known, error.verdict, trusted) from error
    if isinstance(error, LoginError):
        raise login_fault(place, target, known, error) from error
    raise _fault(place, target.advice, error) from error


def _way_fault(place: str, known: ssh_settings.Settings, said: str) -> HostError:
    """Return what is told of a jump host or a proxy that did not connect the host."""
    if not known.jump:
        return HostError(f"{place}: its ProxyCommand failed: {said or 'without a word'}", known.command, transient=True)
    hops = " and ".join(hop.host for hop in known.jump)
    what = f"{place}: cannot be reached through {hops}: {said or 'the connection was closed'}"
    if "Host key verification failed" in said or "host key is known" in said:
        first = known.jump[0].host
        return HostError(
            what, f"the jump host's key must be in known_hosts: log in once with `ssh {first}` and compare"
        )
    return HostError(what, f"`ssh {known.jump[-1].host}` must work without a question", transient=True)


def _host_key_fault(
    place: str, target: SshTarget, known: ssh_settings.Settings, verdict: str, trusted: Sequence[Known]
) -> HostError:
    name = _name(known)
    if verdict == "changed":
        remedy = (
            "ask whoever runs the host; if the new key is right, change host_key in the inventory"
            if target.host_key
            else f"ask whoever runs the host; if the new key is right: `ssh-keygen -R {shlex.quote(name)}`"
        )
        return HostError(f"{place}: its host key has changed: somebody may be listening in", remedy)
    if verdict == "revoked":
        return HostError(f"{place}: its host key is revoked in known_hosts", "ask whoever runs the host")
    if any(line.marker == AUTHORITY and line.is_for(name) for line in trusted):
        what = f"{place}: known_hosts trusts an authority for it, and host certificates are not checked here"
        return UnknownHostKeyError(what, f"put host_key into the inventory; {COMPARE}")
    keyscan = f", or put host_key into the inventory (`ssh-keyscan -p {known.port} {known.hostname}`)"
    return UnknownHostKeyError(
        f"{place}: its host key is unknown",
        "log in once with ssh and compare the fingerprint" + ("" if known.jump or known.command else keyscan),
    )


def login_fault(place: str, target: SshTarget, known: ssh_settings.Settings, error: LoginError) -> HostError:
    """Return what a person is told of a refused login: as whom, by what, and the line that lets them in."""
    if target.password is not None:
        remedy = f"try it by hand: `ssh -p {known.port} {known.user}@{known.hostname}`"
        return LoginRefusedError(f"{place}: the login was refused for {known.user}: {error.reason}", remedy)
    if not error.tried:
        what = f"{place}: the login was refused for {known.user}: there is no key, in ~/.ssh or in an agent"
        return LoginRefusedError(what, "make one with `ssh-keygen -t ed25519`, or name one as `ssh: {key: ...}`")
    tried = ", ".join(error.tried)
    if any("has a passphrase" in each for each in error.tried) and target.key is not None:
        what = f"{place}: the key {target.key} has a passphrase"
        return LoginRefusedError(what, f"load it into your agent: {quote(('ssh-add', str(target.key)))}")
    reason = f"; {error.reason}" if error.reason else ""
    key = next((file for file in known.identities if file.exists()), None)
    install = ("ssh-copy-id", *(("-i", f"{key}.pub") if key else ()), "-p", str(known.port))
    remedy = f"let the key in: `{quote((*install, f'{known.user}@{known.hostname}'))}`, or correct the user or the key"
    return LoginRefusedError(f"{place}: the login was refused for {known.user}; tried {tried}{reason}", remedy)


def _fault(place: str, advice: Advice, error: Exception) -> HostError:
    if isinstance(error, socket.gaierror):
        return HostError(f"{place}: the name cannot be resolved: {error.strerror}", advice.unknown_name)
    if isinstance(error, ConnectionRefusedError):
        return HostError(f"{place}: it refuses connections", advice.refused, transient=True)
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError) or _without_banner(error):
        return HostError(f"{place}: it dropped the connection before the login", advice.dropped, transient=True)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return HostError(
        f"{place}: cannot be reached: {reason}", "check the name, the port and the network", transient=True
    )


def _without_banner(error: Exception) -> bool:
    """Whether the server hung up before it had said who it is (paramiko's Transport._check_banner)."""
    said = "Error reading SSH protocol banner" in str(error)
    return said and isinstance(error.__context__, ConnectionError | EOFError)


def shown_host_key(target: SshTarget) -> str:
    """Return the key that a target's host shows now ("ssh-ed25519 AAAA..."), on the way that ssh would take to it.

    It is unverified: a person must confirm it. The keys of jump hosts are checked. Raises HostError.
    """
    known = target.resolved()
    place = where(target.host, known.port)
    proxy = _proxy(target, known)
    try:
        transport = paramiko.Transport(proxy.plug if proxy else plug(known))
        try:
            options = transport.get_security_options()
            options.key_types = sorted(options.key_types, key=lambda kind: kind != "ssh-ed25519")
            transport.banner_timeout = known.timeout
            transport.start_client(timeout=known.timeout)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise (
            _way_fault(place, known, proxy.last_words()) if proxy else _fault(place, target.advice, error)
        ) from error
    finally:
        if proxy is not None:
            with suppress(OSError):
                proxy.close()
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"


def fetch_host_key(host: str, port: int) -> str:
    """Return the key that the server at an address shows now, as `shown_host_key`. Raises HostError."""
    return shown_host_key(SshTarget(host, port))


def fingerprint(public_key: str) -> str:
    """Return the SHA256 fingerprint of "ssh-ed25519 AAAA..." as ssh-keygen prints it."""
    entry = HostKeyEntry.from_line(f"host {public_key}")
    if entry is None or entry.key is None:
        raise ValueError(public_key)
    return str(entry.key.fingerprint)
