"""A host behind SSH: one connection per run, and more if the server limits the sessions of a connection."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import paramiko

from tasks.errors import InterruptedRunError
from tasks.remote.become import Become, rights, sftp, start
from tasks.remote.become_fault import Attempt, BecomeError
from tasks.remote.channel import Channel, SshChannel
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.host_key import UnknownHostKeyError, fingerprint
from tasks.remote.keepalive import end_when_silent
from tasks.remote.login import LoginRefusedError
from tasks.remote.running import LOOK, HostError
from tasks.remote.script import Words, quote
from tasks.remote.secret import Secret, resolve
from tasks.remote.sftp_files import SftpFiles
from tasks.remote.ssh_connection import Line, connect, fetch_host_key, shown_host_key
from tasks.remote.ssh_target import SshTarget

__all__ = [
    "LoginRefusedError",
    "SshHost",
    "SshTarget",
    "UnknownHostKeyError",
    "fetch_host_key",
    "fingerprint",
    "shown_host_key",
]

CHANNELS = 4  # programs at once on a host; OpenSSH's MaxSessions is 10 per connection
SESSIONS = CHANNELS + 1  # plus one for files
CONNECT_TIMEOUT = 20.0  # seconds to open a session
DEAD_AFTER = 60  # seconds within which the other side must acknowledge data and answer keepalives
KEEPALIVE = 15  # seconds between two keepalives
LOST = 1.0  # seconds for a connection to be recognised as lost after its channel was
CLOSING = 0.5  # seconds between two attempts while a session is refused because others are still closing
PATIENT = 20  # number of such attempts
SHOWN = 40  # characters shown of what start files print
NO_SFTP = "sshd_config must have `Subsystem sftp internal-sftp`, and a ForceCommand or command= must let it through"


@dataclass
class _Used:
    """A connection and the number of sessions on it; `full` is the number at which the server refuses more."""

    line: Line
    sessions: int = 0
    full: int = SESSIONS


class Serving(Protocol):
    """What answers at this end of the socket of a forwarded agent."""

    def serve(self, channel: paramiko.Channel) -> None:
        """Answer on a channel, in a thread of its own."""


class SshHost(Host):
    """A host behind SSH, with at most 4 programs running at once.

    The connection is opened on first use, and reopened on the first use after it was lost. If the server refuses more
    sessions on it (MaxSessions of sshd), another connection is opened for them.

    `agent` is served to the programs that run there, instead of any agent of the operator: a key, or a repository.
    """

    def __init__(
        self, target: SshTarget, cancelled: threading.Event | None = None, agent: Serving | None = None
    ) -> None:
        super().__init__(target.host, cancelled)
        self._target = target
        self._agent = agent
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(CHANNELS)
        self._lines: list[_Used] = []
        self._full = SESSIONS
        self._filing = threading.Lock()
        self._sftp: tuple[SftpFiles, _Used] | None = None
        self._asking = threading.Lock()
        self._secret: Secret | None = None

    def _open(self, words: Words) -> Channel:
        while not self._slots.acquire(timeout=LOOK):
            if self.cancelled.is_set():
                raise InterruptedRunError(f"{self.name}: interrupted")
        try:
            used, channel = self._session()
            try:
                if self._agent is not None:
                    channel.request_forward_agent(self._agent.serve)
                self._begin(channel, words)
                return _Slot(SshChannel(channel), lambda: self._end(used))
            except BaseException:
                channel.close()
                self._let_go(used)
                raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._slots.release()
            raise HostError(f"{self.name}: the connection was lost: {error}", "run it again", transient=True) from error
        except BaseException:
            self._slots.release()
            raise

    def _begin(self, channel: paramiko.Channel, words: Words) -> None:
        """Start a program in an opened session, as the user that the target names."""
        if self._target.become is None:
            channel.exec_command(quote(words).encode("utf-8", "surrogateescape"))
            return
        self._become(channel, self._target.become)
        channel.sendall(f"exec {quote(words)}\n".encode("utf-8", "surrogateescape"))

    def _become(self, channel: paramiko.Channel, become: Become) -> None:
        """Make an opened session a bash of another user. Raises BecomeError."""
        login = self._target.resolved().user
        attempt = Attempt(self.name, login, become.program, become.user)
        try:
            agent = start(channel, become, attempt, self._password, self.cancelled)
        except BecomeError as error:
            if not error.asks or become.program != "sudo":
                raise
            used, asked = self._session()
            try:
                listed = rights(asked)
            finally:
                asked.close()
                self._let_go(used)
            raise (attempt.narrow(listed) if listed else error) from None
        if agent and self._agent is not None:
            channel.sendall(f"export SSH_AUTH_SOCK={quote((agent,))}\n".encode("utf-8", "surrogateescape"))

    def _password(self) -> Secret:
        """Return the password with which the login becomes another user, fetched once. Raises UsageError."""
        become = self._target.become
        assert become is not None
        assert become.password is not None
        with self._asking:
            if self._secret is None:
                self._secret = resolve(become.password, f"the password for sudo on {self.name}")
            return self._secret

    def _end(self, used: _Used) -> None:
        self._let_go(used)
        self._slots.release()

    def _let_go(self, used: _Used) -> None:
        with self._opening:
            used.sessions -= 1

    def _session(self) -> tuple[_Used, paramiko.Channel]:
        """Open a session on any connection with room. A refused one is tried again, then on another connection.

        Raises HostError, and the errors of paramiko and the system if the connection was lost in the meantime.
        """
        for attempt in range(PATIENT):
            used = self._line()
            try:
                return used, used.line.transport.open_session(timeout=CONNECT_TIMEOUT)
            except paramiko.ChannelException as error:
                refused = error
                self._refused(used, patient=attempt < 1)
            except BaseException:
                self._let_go(used)
                raise
            time.sleep(CLOSING)
        what = f"{self.name}: its SSH server opens no session: {refused.text}"
        raise HostError(what, "look at MaxSessions in its sshd_config: at least 1 is needed", transient=True)

    def _refused(self, used: _Used, *, patient: bool) -> None:
        """Record that a session was refused, unless others on the connection may just not have closed yet."""
        with self._opening:
            used.sessions -= 1
            if used.sessions and not patient:
                used.full = self._full = used.sessions

    def _line(self) -> _Used:
        """Return a connection that has room for a session, and count the session. Raises HostError."""
        with self._opening:
            for lost in [used for used in self._lines if not used.line.is_active]:
                self._lines.remove(lost)
                lost.line.close()
            used = next((each for each in self._lines if each.sessions < each.full), None)
            if used is None:
                used = _Used(connect(self._target), full=self._full)
                _end_when_dead(used.line.transport)
                self._lines.append(used)
            used.sessions += 1
            return used

    def files(self) -> Files:
        """Return the host's files, over one SFTP session."""
        with self._filing:
            if self._sftp is not None and self._sftp[0].closed:
                self._let_go(self._sftp[1])
                self._sftp = None
            if self._sftp is None:
                self._sftp = self._new_files()
            return self._sftp[0]

    def _new_files(self) -> tuple[SftpFiles, _Used]:
        transport: paramiko.Transport | None = None
        try:
            used, channel = self._session()
            transport = used.line.transport
            try:
                channel.settimeout(CONNECT_TIMEOUT)
                self._begin_files(channel)
                return SftpFiles(paramiko.SFTPClient(channel), self.name), used
            except BaseException:
                channel.close()
                self._let_go(used)
                raise
        except paramiko.SFTPError as error:
            raise self._noise(error) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            if transport is not None:
                transport.join(LOST)  # a lost connection ends its thread, a server without SFTP keeps it
            lost = transport is None or not transport.is_active()
            reason = str(error) or "it ended at once"
            raise HostError(f"{self.name}: no SFTP there: {reason}", "" if lost else NO_SFTP, transient=lost) from error

    def _begin_files(self, channel: paramiko.Channel) -> None:
        if self._target.become is None:
            channel.invoke_subsystem("sftp")
            return
        self._become(channel, self._target.become)
        channel.sendall(sftp().encode())

    def _noise(self, error: paramiko.SFTPError) -> HostError:
        """Return the error for a login whose start files print into the SFTP stream, quoting what they print."""
        said = ""
        with suppress(HostError, OSError, EOFError, paramiko.SSHException):
            said = " ".join(self.command(("true",), timeout=20).text.split())
        printed = "".join(sign for sign in said if sign.isprintable())[:SHOWN]
        if not printed:
            return HostError(f"{self.name}: its SFTP server speaks another protocol: {error}")
        what = f'{self.name}: the login\'s start files print "{printed}", which breaks SFTP'
        return HostError(what, "let ~/.bashrc and the like print nothing where no terminal is: `[ -t 1 ] || return`")

    def close(self) -> None:
        """Close every connection."""
        with self._opening:
            for used in self._lines:
                used.line.close()
            self._lines = []
            self._sftp = None


class _Slot:
    """A channel that releases its slot, once, when it is closed."""

    def __init__(self, channel: SshChannel, let_go: Callable[[], None]) -> None:
        self._channel = channel
        self._let_go = let_go
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
            self._let_go()


def _end_when_dead(transport: paramiko.Transport) -> None:
    """Close a connection whose other side is silent; TCP alone takes a quarter of an hour, or never does."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    line = transport.sock
    if option is not None and isinstance(line, socket.socket) and line.family in (socket.AF_INET, socket.AF_INET6):
        line.setsockopt(socket.IPPROTO_TCP, option, DEAD_AFTER * 1000)
    end_when_silent(transport, KEEPALIVE, DEAD_AFTER)
