"""One connection to a host: by ssh's own settings, with strict checking of the host keys of the host and each hop."""

import base64
import logging
import socket
from contextlib import suppress
from pathlib import Path

import paramiko
from fabric import Config, Connection

from tasks.remote import jump, ssh_settings
from tasks.remote.address import where
from tasks.remote.connection_fault import fault, refuse, way_fault
from tasks.remote.host_key import Policy, of_target
from tasks.remote.login import KeyLogin, PasswordLogin, refuse_open_key
from tasks.remote.ssh_target import SshTarget

# Errors are raised and reported once: paramiko would also print tracebacks from its own threads.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Line:
    """An open connection: Fabric's, its paramiko transport, and the proxy it goes through, if any."""

    def __init__(self, connection: Connection, proxy: jump.Proxy | None) -> None:
        self._connection = connection
        self._proxy = proxy
        transport = connection.transport
        assert isinstance(transport, paramiko.Transport)
        self.transport = transport

    @property
    def is_active(self) -> bool:
        """Return whether it is still up."""
        return self.transport.is_active()

    def close(self) -> None:
        """Close it, and end its proxy."""
        _hang_up(self._connection)
        if self._proxy is not None:
            self._proxy.close()


def connect(target: SshTarget) -> Line:
    """Log in. Raises HostError: UnknownHostKeyError for an unknown host key, LoginRefusedError for a refused login."""
    known = target.resolved()
    place = where(target.host, known.port)
    if target.key is not None:
        refuse_open_key(Path(target.key), place)
    keys = of_target(target, known)
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
            "transport_factory": keys.transport,
        },
    )
    connection.client.set_missing_host_key_policy(Policy(keys))
    try:
        connection.connect_kwargs["sock"] = proxy.plug if proxy else plug(known)
        connection.open()
    except Exception as error:
        _hang_up(connection)
        refuse(target, known, error, proxy)
    except BaseException:
        _hang_up(connection)
        if proxy is not None:
            proxy.close()
        raise
    return Line(connection, proxy)


def _hang_up(connection: Connection) -> None:
    """Close a connection even if the login failed: Fabric does not count that as open and would not close it.

    A connection left open still counts on the server, and a Storage Box allows 10.
    """
    connection.close()
    connection.client.close()


def _proxy(target: SshTarget, known: ssh_settings.Settings) -> jump.Proxy | None:
    words = jump.through(known, target.host)
    return jump.Proxy(words) if words else None


def plug(known: ssh_settings.Settings) -> socket.socket:
    """Return a socket connected to the server, at the first of its addresses that accepts. Raises OSError."""
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


def shown_host_key(target: SshTarget) -> str:
    """Return the key that a target's host presents now ("ssh-ed25519 AAAA..."), reached as ssh would reach it.

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
        raise (way_fault(place, known, proxy.last_words()) if proxy else fault(place, target.advice, error)) from error
    finally:
        if proxy is not None:
            with suppress(OSError):
                proxy.close()
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"


def fetch_host_key(host: str, port: int) -> str:
    """Return the key that the server at an address presents now, as `shown_host_key` does. Raises HostError."""
    return shown_host_key(SshTarget(host, port))
