"""The ssh program where we speak a protocol over it: our own options, which beat those of people's ssh_config.

An option on the command line goes before every file (ssh_config(5)), and the first value counts. One that ssh does not
know ends it; IgnoreUnknown would hide those of the person's own IgnoreUnknown, so ssh is asked which it knows.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.remote.script import quote

# What a `Host *` of people's may hold and a protocol does not survive, or that would open more than we need.
PLAIN = (
    "BatchMode=yes",
    "RequestTTY=no",
    "LogLevel=ERROR",  # a banner is told at INFO, and would stand between borg's messages
    "ControlMaster=no",  # a shared connection has the rights of the key that opened it
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
# As above, of later versions: RemoteCommand since 7.6, the others since 8.7.
LATER = ("RemoteCommand=none", "SessionType=default", "StdinNull=no", "ForkAfterAuthentication=no")
KNOWN_HOSTS_COMMAND = "KnownHostsCommand=none"  # since 8.5
ASKED = (*LATER, KNOWN_HOSTS_COMMAND)
LEAST = (7, 4)
ASK_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class OpenSsh:
    """An ssh program: its version as it says it ("9.2p1"; None where there is none), and which of ASKED it knows."""

    version: str | None
    knows: frozenset[str] = frozenset(ASKED)

    def options(self) -> tuple[str, ...]:
        """Return our options, those that this ssh knows."""
        return (*PLAIN, *(option for option in LATER if option in self.knows))

    @property
    def known_hosts_command(self) -> bool:
        """Whether a program may say which host key is right, without a file."""
        return KNOWN_HOSTS_COMMAND in self.knows


NEWEST = OpenSsh("9.2")


def _taking(options: Sequence[str]) -> tuple[str, ...]:
    """Return a command that succeeds where ssh knows these options. It reads no file and connects to nobody."""
    words = ["ssh", "-F", "/dev/null", "-G"]
    for option in options:
        words += ["-o", option]
    return (*words, "localhost")


def ask_text() -> str:
    """Return bash lines that print ssh's version and each option of ASKED that it knows, as `name=value`.

    `say` is a bash function that prints a name and a value so.
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
    """Return the ssh that the answer to `ask_text` describes."""
    found = re.search(r"OpenSSH_(\d{1,4}\.\d{1,4}\w{0,10})", said.get("ssh", ""))
    knows = frozenset(option for number, option in _numbered() if said.get(f"ssh_{number}") == "yes")
    return OpenSsh(found[1] if found else None, knows)


@lru_cache(maxsize=1)
def of_this_machine() -> OpenSsh:
    """Return what the ssh of the operator's machine knows, asked once for a run."""
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
