"""The ssh program as a transport for protocols: our options, which override those of the user's ssh_config.

Options on the command line take precedence over every file (ssh_config(5)); the first value counts. ssh exits on an
option that it does not know. IgnoreUnknown would override the user's own IgnoreUnknown, so ssh is asked beforehand
which options it knows.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.remote.script import quote

# What a user's `Host *` may contain and a protocol does not survive, or what would grant more than we need.
PLAIN = (
    "BatchMode=yes",
    "RequestTTY=no",
    "LogLevel=ERROR",  # a banner is logged at INFO, and would appear among borg's messages
    "ControlMaster=no",  # a shared connection has the permissions of the key that opened it
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "AddKeysToAgent=no",
    "UpdateHostKeys=no",
    "VisualHostKey=no",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "StrictHostKeyChecking=yes",
)
# The same, for later versions: RemoteCommand since 7.6, the others since 8.7.
LATER = ("RemoteCommand=none", "SessionType=default", "StdinNull=no", "ForkAfterAuthentication=no")
KNOWN_HOSTS_COMMAND = "KnownHostsCommand=none"  # since 8.5
ASKED = (*LATER, KNOWN_HOSTS_COMMAND)
LEAST = (7, 4)
ASK_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class OpenSsh:
    """An ssh program: its version as printed ("9.2p1"; None if ssh is missing), and which of ASKED it knows."""

    version: str | None
    knows: frozenset[str] = frozenset(ASKED)

    def options(self) -> tuple[str, ...]:
        """Return those of our options that this ssh knows."""
        return (*PLAIN, *(option for option in LATER if option in self.knows))

    @property
    def known_hosts_command(self) -> bool:
        """Return whether a command can provide the host key, without a file (KnownHostsCommand)."""
        return KNOWN_HOSTS_COMMAND in self.knows


NEWEST = OpenSsh("9.2")


def _taking(options: Sequence[str]) -> tuple[str, ...]:
    """Return a command that succeeds if ssh knows these options. It reads no file and does not connect."""
    words = ["ssh", "-F", "/dev/null", "-G"]
    for option in options:
        words += ["-o", option]
    return (*words, "localhost")


def ask_text() -> str:
    """Return bash lines that print ssh's version and, as `name=value`, each option of ASKED that it knows.

    `say` is a bash function that prints a name and a value in that form.
    """
    quiet = ">/dev/null 2>&1 </dev/null"
    each = [f"if {quote(_taking((option,)))} {quiet}; then say ssh_{number} yes; fi" for number, option in _numbered()]
    every = "; ".join(f"say ssh_{number} yes" for number, _ in _numbered())
    return "\n".join(
        (
            "if command -v ssh >/dev/null; then",
            'say ssh "$(ssh -V 2>&1 </dev/null | head -n 1 || true)"',
            f"if {quote(_taking(ASKED))} {quiet}; then {every}; else",
            *each,
            "fi",
            "fi",
        )
    )


def _numbered() -> list[tuple[int, str]]:
    return list(enumerate(ASKED))


def answered(said: Mapping[str, str]) -> OpenSsh:
    """Return the OpenSsh that the answer to `ask_text` describes."""
    found = re.search(r"OpenSSH_(\d{1,4}\.\d{1,4}\w{0,10})", said.get("ssh", ""))
    knows = frozenset(option for number, option in _numbered() if said.get(f"ssh_{number}") == "yes")
    return OpenSsh(found[1] if found else None, knows)


@lru_cache(maxsize=1)
def of_this_machine() -> OpenSsh:
    """Return this machine's OpenSsh, asked once per run."""
    if _answers(ASKED):
        return NEWEST
    return OpenSsh(None, frozenset(option for option in ASKED if _answers((option,))))


def _answers(options: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            _taking(options), stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
