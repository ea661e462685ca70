"""Another user on a host: each program there starts through sudo or doas, which may ask the login's password.

    sshd -> sh of the login -> sudo -> bash of the other user -> the program, by one line on standard input

The command line is the same for every program: what runs, its secrets and the password travel on standard input. That
sudo has let us in is said by a line on standard output, and nothing but the password is sent before it: a script sent
too early would be taken for a password, and a password sent unasked for a command. sudo can be set to record what it
passes on (sudoers(5), log_input, log_output). It then stands between the two shells with pipes of its own, so both name
their standard input and output, and nothing is sent if these differ (tried, sudo 1.9.13).
"""

import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.errors import InterruptedRunError
from tasks.remote.become_fault import Attempt
from tasks.remote.script import BASH, Words, quote
from tasks.remote.secret import Reference, Secret

if TYPE_CHECKING:
    import paramiko

PATIENCE = 60.0  # seconds for sudo to let us in; its own delay after a wrong password is 2
LOOK = 0.05  # seconds between two looks at both streams
MOST = 1 << 16  # bytes of lectures and start files before that
PROMPT = "cloudbackup asks for the password of the login: "
FROM, BECAME = "cloudbackup: from ", "cloudbackup: became "
STREAMS = '"$(readlink /proc/$$/fd/0 2>/dev/null)" "$(readlink /proc/$$/fd/1 2>/dev/null)"'
SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
)
WITHOUT_SFTP = 121  # exit code of SFTP where no such program is found


@dataclass(frozen=True)
class Become:
    """Who everything runs as, by which program; `password` is where the login's own password is, if one is needed."""

    program: Literal["sudo", "doas"] = "sudo"
    user: str = "root"
    password: Reference | None = None

    @property
    def words(self) -> Words:
        """Return the command before which the bash of the other user is put."""
        if self.program == "doas":
            return ("doas", "-n", "-u", self.user)
        # -k: the password is asked for even if it was given a moment ago, and is not remembered for others.
        asks = ("-k", "-S", "-p", PROMPT) if self.password is not None else ("-n",)
        return ("sudo", *asks, "-H", "-u", self.user, "--")

    def line(self) -> str:
        """Return the command line, for the login's shell, whichever that is."""
        inside = f"printf '{BECAME}%s %s\\n' {STREAMS}; cd 2>/dev/null || cd /; exec {quote(BASH)}"
        into = quote((*self.words, "bash", "-c", inside))
        # The C locale: sudo and PAM ask, and refuse, in the words that `become_fault` knows.
        outside = (
            f"printf '{FROM}%s %s %s\\n' {STREAMS} \"${{SSH_AUTH_SOCK-}}\"; export LC_ALL=C LANGUAGE=; exec {into}"
        )
        return "exec " + quote(("sh", "-c", outside))


def sftp() -> str:
    """Return the line by which the other user's bash becomes an SFTP server."""
    servers = " ".join(map(quote, ((each,) for each in SFTP_SERVERS)))
    return (
        f'for server in {servers} "$(command -v sftp-server)"; do '
        f'[ ! -x "$server" ] || exec "$server"; done; exit {WITHOUT_SFTP}\n'
    )


def start(
    channel: "paramiko.Channel",
    become: Become,
    whose: Attempt,
    password: Callable[[], Secret],
    cancelled: threading.Event,
) -> str:
    """Make an opened session a bash of the other user that reads commands from standard input.

    Return the socket of the agent that is served to the login there, empty if there is none. Raises BecomeError with
    the reason and the remedy if sudo does not let us in, UsageError if the password cannot be read, InterruptedRunError
    once `cancelled` is set, and what a lost connection raises.
    """
    channel.exec_command(become.line())
    answered = _Answered(channel, whose)
    while not answered.inside:
        if answered.asked and not answered.sent:
            answered.sent = True
            channel.sendall(f"{password().reveal()}\n".encode())
        if cancelled.is_set():
            raise InterruptedRunError(f"{whose.place}: interrupted")
        answered.look()
    if answered.outside[:2] != answered.within[:2] and all((*answered.outside[:2], *answered.within[:2])):
        raise whose.recorded()
    socket = " ".join(answered.outside[2:])
    return socket if socket.startswith("/") else ""


class _Answered:
    """What has come from both shells and from sudo between them, until the other user's bash has begun."""

    def __init__(self, channel: "paramiko.Channel", whose: Attempt) -> None:
        self._channel = channel
        self._whose = whose
        self._out = self._err = b""
        self._until = time.monotonic() + PATIENCE
        self.sent = False

    @property
    def asked(self) -> bool:
        return PROMPT.encode() in self._err

    @property
    def inside(self) -> bool:
        return bool(self.within)

    @property
    def within(self) -> list[str]:
        return self._said(BECAME)

    @property
    def outside(self) -> list[str]:
        return self._said(FROM)

    def _said(self, start: str) -> list[str]:
        lines = self._out.decode(errors="replace").split("\n")[:-1]
        found = [line.partition(start)[2] for line in lines if start in line]
        return found[0].split(" ") if found else []

    def look(self) -> None:
        """Take what has arrived. Raises HostError once sudo has refused, or does not answer."""
        ended = self._channel.exit_status_ready() or self._channel.closed or self._channel.eof_received
        while self._channel.recv_stderr_ready():
            self._err += self._channel.recv_stderr(MOST)
        while self._channel.recv_ready():
            self._out += self._channel.recv(MOST)
        if self.inside:
            return
        if self._err.count(PROMPT.encode()) > 1:
            self._hang_up()
            raise self._whose.wrong_password()
        if ended:
            raise self._refusal()
        if time.monotonic() > self._until or len(self._out) + len(self._err) > MOST:
            self._hang_up()
            raise self._whose.silent(self._error_text)
        select.select([self._channel], [], [], LOOK)

    @property
    def _error_text(self) -> str:
        return self._err.decode(errors="replace").replace(PROMPT, "\n")

    def _hang_up(self) -> None:
        with suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def _refusal(self) -> Exception:
        code = self._channel.recv_exit_status() if self._channel.exit_status_ready() else -1
        if code == -1 and not self._error_text.strip():
            return EOFError("it ended before sudo had answered")
        return self._whose.refused(self._error_text, code)


def rights(channel: "paramiko.Channel") -> list[str]:
    """Return what the login may run by sudo without a password, as `sudo -l` lists it; empty if that is not said."""
    channel.settimeout(PATIENCE)
    channel.exec_command("exec " + quote(("sh", "-c", "LC_ALL=C LANGUAGE= exec sudo -n -l </dev/null")))
    with channel.makefile("rb") as listed:
        said = listed.read(MOST).decode(errors="replace")
    _, _, found = said.partition(" may run the following commands")
    return [" ".join(line.split()) for line in found.splitlines()[1:] if "NOPASSWD" in line and line.isprintable()]
