"""A host behind SSH: one connection for a run, strict about host keys."""

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Config, Connection
from paramiko.hostkeys import HostKeyEntry

from tasks.remote.agent import KeyAgent
from tasks.remote.channel import Channel, SshChannel
from tasks.remote.files import Files, SftpFiles
from tasks.remote.host import Host
from tasks.remote.running import HostError
from tasks.remote.script import Words, quote
from tasks.remote.secret import Secret
from tasks.remote.silence import end_when_silent

CHANNELS = 4  # at once on one connection; OpenSSH's MaxSessions is 10 for a connection
CONNECT_TIMEOUT = 20.0  # seconds
DEAD_AFTER = 60  # seconds in which the other side must acknowledge what was sent, and answer what it is asked
LOST = 1.0  # seconds in which a connection whose channel was lost is seen to be lost itself
KEEPALIVE = 15  # seconds between two questions whether it is there


class UnknownHostKeyError(HostError):
    """A host shows a key that neither the inventory nor known_hosts has."""


@dataclass(frozen=True)
class SshTarget:
    """Where to log in: `host` as in ssh ([user@]name, ~/.ssh/config is honoured).

    `host_key` ("ssh-ed25519 AAAA...") pins the server's key; without it the operator's known_hosts decide.
    """

    host: str
    port: int | None = None
    key: Path | None = None
    host_key: str | None = None
    password: Secret | None = None


class SshHost(Host):
    """A host behind SSH, with one connection that serves at most 4 programs at once.

    It is opened by the first use, and anew by the first use after it was lost.

    `agent` is served to the programs that run there, in place of any agent of the operator's.
    """

    def __init__(
        self, target: SshTarget, cancelled: threading.Event | None = None, agent: KeyAgent | None = None
    ) -> None:
        super().__init__(target.host, cancelled)
        self._target = target
        self._agent = agent
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(CHANNELS)
        self._connection: Connection | None = None
        self._sftp: SftpFiles | None = None

    def _open(self, words: Words) -> Channel:
        transport = self._transport()
        self._slots.acquire()
        try:
            channel = _session(transport, self.name)
            if self._agent is not None:
                channel.request_forward_agent(self._agent.serve)
            return _Slot(SshChannel(channel, quote(words)), self._slots)
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._slots.release()
            raise HostError(f"{self.name}: the connection was lost: {error}", "run it again", transient=True) from error
        except BaseException:
            self._slots.release()
            raise

    def files(self) -> Files:
        """Return the host's files, over one SFTP session."""
        transport = self._transport()
        with self._opening:
            if self._sftp is None or self._sftp.closed:
                try:
                    client = paramiko.SFTPClient.from_transport(transport)
                except (paramiko.SSHException, OSError, EOFError) as error:
                    transport.join(LOST)  # a lost connection ends its thread, a server without SFTP does not
                    lost = isinstance(error, paramiko.ChannelException) or not transport.is_active()
                    raise HostError(f"{self.name}: no SFTP there: {error}", transient=lost) from error
                assert client is not None
                self._sftp = SftpFiles(client, self.name)
            return self._sftp

    def close(self) -> None:
        """Close the connection."""
        with self._opening:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._sftp = None

    def _transport(self) -> paramiko.Transport:
        with self._opening:
            transport = self._connection.transport if self._connection is not None else None
            if transport is None or not transport.is_active():
                self._forget()
                self._connection = _connect(self._target)
                transport = self._connection.transport
        assert isinstance(transport, paramiko.Transport)
        return transport


class _Slot:
    """A channel that gives its place on the connection back when it is closed."""

    def __init__(self, channel: SshChannel, slots: threading.BoundedSemaphore) -> None:
        self._channel = channel
        self._slots = slots
        self._held = True
        self.send = channel.send
        self.end_input = channel.end_input
        self.receive = channel.receive
        self.exit_code = channel.exit_code

    @property
    def ended(self) -> bool:
        return self._channel.ended

    def close(self) -> None:
        self._channel.close()
        if self._held:
            self._held = False
            self._slots.release()


def _session(transport: paramiko.Transport, name: str) -> paramiko.Channel:
    """Open a session channel; one that is refused because others are still closing is asked for again."""
    for attempt in range(20):
        try:
            return transport.open_session(timeout=CONNECT_TIMEOUT)
        except paramiko.ChannelException:
            if attempt == 19:
                raise
            time.sleep(0.5)
    raise HostError(f"{name}: no session")


def _connect(target: SshTarget) -> Connection:
    options: dict[str, object] = {"banner_timeout": CONNECT_TIMEOUT, "auth_timeout": CONNECT_TIMEOUT}
    if target.key is not None:
        options |= {"key_filename": str(target.key), "look_for_keys": False}
    if target.password is not None:
        options |= {"password": target.password.reveal(), "look_for_keys": False, "allow_agent": False}
    connection = Connection(
        target.host,
        port=target.port,
        config=Config(),
        connect_timeout=CONNECT_TIMEOUT,
        connect_kwargs=options,
    )
    _trust(connection, target)
    try:
        connection.open()
    except Exception as error:
        connection.close()
        raise _refusal(target, connection, error) from error
    _end_when_dead(connection.transport)
    return connection


def _trust(connection: Connection, target: SshTarget) -> None:
    """Accept the pinned host key, or those of known_hosts, and no other (Fabric's own default accepts any)."""
    client: paramiko.SSHClient = connection.client
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if target.host_key is None:
        named = connection.ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
        for file in [*named.split(), "/etc/ssh/ssh_known_hosts"]:
            with suppress(OSError):
                client.load_system_host_keys(str(Path(file).expanduser()))
        return
    entry = HostKeyEntry.from_line(f"{host_key_name(connection.host, connection.port)} {target.host_key}")
    if entry is None or entry.key is None:
        raise HostError(f"{target.host}: the host_key in the inventory is no key: {target.host_key[:40]}")
    client.get_host_keys().add(entry.hostnames[0], entry.key.get_name(), entry.key)


def host_key_name(host: str, port: int) -> str:
    """Return the name under which known_hosts has a server."""
    return host if port == 22 else f"[{host}]:{port}"


def _end_when_dead(transport: paramiko.Transport) -> None:
    """Give up a connection whose other side is silent; TCP alone takes a quarter of an hour, or for ever."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, option, DEAD_AFTER * 1000)
    end_when_silent(transport, KEEPALIVE, DEAD_AFTER)


def _refusal(target: SshTarget, connection: Connection, error: Exception) -> HostError:
    where = f"{target.host} (port {connection.port})"
    known = host_key_name(connection.host, connection.port)
    if isinstance(error, paramiko.BadHostKeyException):
        return HostError(
            f"{where}: its host key has changed: somebody may be listening in",
            "ask whoever runs the host; if the new key is right, change host_key in the inventory"
            f" or run `ssh-keygen -R '{known}'`",
        )
    if isinstance(error, paramiko.SSHException) and "known_hosts" in str(error):
        return UnknownHostKeyError(
            f"{where}: its host key is unknown",
            "log in once with ssh and compare the fingerprint, or put host_key into the inventory"
            f" (`ssh-keyscan -p {connection.port} {connection.host}`)",
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return HostError(f"{where}: the key {target.key} has a passphrase", "load it into your agent with `ssh-add`")
    if isinstance(error, paramiko.AuthenticationException) or "No authentication methods" in str(error):
        return HostError(
            f"{where}: the login was refused", f"check the user and the key ({target.key or 'your agent and ~/.ssh'})"
        )
    if isinstance(error, socket.gaierror):
        return HostError(f"{where}: there is no host of that name: {error.strerror}")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return HostError(
        f"{where}: cannot be reached: {reason}", "check the name, the port and the network", transient=True
    )


def shown_host_key(target: SshTarget) -> str:
    """Return the key that a target's host shows now, as `fetch_host_key`; ~/.ssh/config is honoured."""
    connection = Connection(target.host, port=target.port, config=Config())
    return fetch_host_key(connection.host, connection.port)


def fetch_host_key(host: str, port: int) -> str:
    """Return the key that a server shows now ("ssh-ed25519 AAAA..."), unverified: a person must confirm it.

    Raises HostError when it cannot be reached.
    """
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT) as plug:
            transport = paramiko.Transport(plug)
            try:
                options = transport.get_security_options()
                options.key_types = sorted(options.key_types, key=lambda kind: kind != "ssh-ed25519")
                transport.start_client(timeout=CONNECT_TIMEOUT)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise HostError(f"{host} (port {port}): cannot be reached: {error}") from error
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint(public_key: str) -> str:
    """Return the SHA256 fingerprint of "ssh-ed25519 AAAA..." as ssh-keygen prints it."""
    entry = HostKeyEntry.from_line(f"host {public_key}")
    if entry is None or entry.key is None:
        raise ValueError(public_key)
    return str(entry.key.fingerprint)
