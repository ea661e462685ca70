"""Jump hosts and proxies: a socket to a host, opened by the real ssh or by the user's own ProxyCommand.

ssh's own ProxyJump starts a second ssh without the first one's options. So each hop is an ssh started by us, connected
through the previous hop: every hop's host key is checked, and none of them prompts.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress

from tasks.remote.address import bracketed
from tasks.remote.openssh import OpenSsh, of_this_machine
from tasks.remote.running import HostError
from tasks.remote.script import Words, quote
from tasks.remote.ssh_settings import CONNECT_TIMEOUT, Hop, Settings, settings

MOST_HOPS = 8
ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=4")  # a hop that hangs is given up, like the host itself
SAID = 4096  # bytes of a proxy's standard error that are read
LINGER = 5.0  # seconds for a proxy to end
Resolve = Callable[[str, int | None], Settings]


def through(known: Settings, name: str, resolve: Resolve = settings) -> Words | None:
    """Return the command whose standard input and output are a connection to the host; None if it is reached directly.

    Raises HostError.
    """
    if known.jump:
        return _hop_words(known.jump, bracketed(known.hostname), known.port, (name, resolve, of_this_machine()))
    if known.command:
        return ("/bin/sh", "-c", f"exec {known.command}")
    return None


def _hop_words(
    chain: Sequence[Hop], host: str, port: int, means: tuple[str, Resolve, OpenSsh], depth: int = 1
) -> Words:
    """Return the ssh command that goes through `chain` and connects to `host` from its last hop."""
    name, resolve, ssh = means
    if depth > MOST_HOPS:
        raise HostError(f"{name}: more than {MOST_HOPS} jump hosts one behind the other", "look at ProxyJump")
    *before, last = chain
    its = resolve(f"{last.user}@{last.host}" if last.user else last.host, last.port or None)
    earlier = before or its.jump
    words = ["ssh", "-T"]
    ours = (option for option in ssh.options() if not option.startswith("SessionType="))  # -W sets its own
    for option in (*ours, *ALIVE, f"ConnectTimeout={CONNECT_TIMEOUT:.0f}"):
        words += ["-o", option]
    if earlier:
        inner = quote(_hop_words(earlier, bracketed(its.hostname), its.port, means, depth + 1))
        words += ["-o", f"ProxyCommand={inner.replace('%', '%%')}"]
    words += [*(["-p", str(last.port)] if last.port else []), *(["-l", last.user] if last.user else [])]
    return (*words, "-W", f"{host}:{port}", "--", last.host)


class Proxy:
    """A running proxy; `plug` is the connection through it."""

    def __init__(self, words: Words) -> None:
        self.plug, far = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the proxy
        try:
            self._process = subprocess.Popen(
                list(words), stdin=far.fileno(), stdout=far.fileno(), stderr=self._said, start_new_session=True
            )
        except OSError as error:
            self.plug.close()
            self._said.close()
            raise HostError(f"this machine: cannot run {words[0]}: {error.strerror}") from error
        finally:
            far.close()

    def last_words(self) -> str:
        """Return the last line that the proxy wrote to standard error, once it has ended or written something."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LINGER)
        size = os.fstat(self._said.fileno()).st_size
        said = os.pread(self._said.fileno(), SAID, max(0, size - SAID)).decode(errors="replace")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(("kex_exchange_identification", "Connection closed"))]
        return (telling or lines or [""])[-1]

    def close(self) -> None:
        """End the proxy."""
        self.plug.close()
        self._process.terminate()
        try:
            self._process.wait(LINGER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
