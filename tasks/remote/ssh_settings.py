"""How ssh would reach a host, from `ssh -G`, so that Include, Match, Host * and aliases apply.

`ssh -G` prints one option per line, resolved except for `~` and the tokens of ssh_config(5), TOKENS (OpenSSH 6.8 and
later).
"""

import getpass
import os
import pwd
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.remote.address import SSH_PORT, split_account, unbracketed
from tasks.remote.running import HostError

CONNECT_TIMEOUT = 20.0  # seconds, unless the settings say otherwise
PATIENCE = 30.0  # seconds for `ssh -G`; a `Match exec` may run a program
MOST = 1 << 18  # bytes of the answer that are read
LONGEST = 4096  # characters of one value
NO_ACCOUNT = "No user exists for uid"  # ssh's message for a process whose uid is not in passwd, as in some containers
USED = frozenset(
    (
        *("hostname", "port", "user", "addressfamily", "bindaddress", "connecttimeout", "proxyjump", "proxycommand"),
        *("identityfile", "certificatefile", "identitiesonly", "identityagent"),
        *("userknownhostsfile", "globalknownhostsfile", "hostkeyalias"),
    )
)
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True)
class Settings:
    """How to reach one host. `agent` is the socket of the ssh-agent to use, or None; times are in seconds.

    `jump` is the ProxyJump chain, in the order of the hops; `command` is a ProxyCommand with its tokens replaced. At
    most one of them is set.
    """

    hostname: str
    port: int = SSH_PORT
    user: str = ""
    identities: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    alias: str = ""
    jump: tuple["Hop", ...] = ()
    command: str = ""
    timeout: float = CONNECT_TIMEOUT
    family: socket.AddressFamily = socket.AF_UNSPEC
    bind: str = ""


@dataclass(frozen=True)
class Hop:
    """One host of ProxyJump; empty and 0 mean its own settings apply."""

    host: str
    user: str = ""
    port: int = 0


def settings(target: str, port: int | None = None) -> Settings:
    """Return the settings for `[user@]host`; `port` overrides ssh's files.

    Raises HostError if ssh is missing or rejects its own configuration.
    """
    user, host = split_account(target)
    words = ["ssh", "-G", *(["-p", str(port)] if port else []), *(["-l", user] if user else []), "--", host]
    code, said, wrong = _asked(target, words)
    if code != 0:
        if NO_ACCOUNT in wrong:
            return _without_ssh(host, user, port)
        reason = (wrong.strip().splitlines() or [f"exit code {code}"])[-1]
        raise HostError(f"{target}: ssh does not take its configuration: {reason}", f"`ssh -G {target}` shows it")
    return read(said, host)


def _asked(target: str, words: list[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        what = f"{target}: `ssh -G` gave no answer within {PATIENCE:.0f} seconds"
        raise HostError(what, "a `Match exec` of your ssh configuration may hang") from error
    except OSError as error:
        raise HostError(f"this machine: cannot run ssh: {error.strerror}", "install openssh-client") from error
    said, wrong = (stream[:MOST].decode(errors="replace") for stream in (done.stdout, done.stderr))
    return done.returncode, said, wrong


def _without_ssh(host: str, user: str, port: int | None) -> Settings:
    """Return ssh's defaults, for a process without an account on this machine: ssh itself would not run."""
    home = Path(os.environ.get("HOME", "/"))
    return Settings(
        hostname=host,
        port=port or SSH_PORT,
        user=user or os.environ.get("USER", "root"),
        identities=tuple(home / ".ssh" / name for name in ("id_rsa", "id_ecdsa", "id_ed25519")),
        agent=_agent("", {}),
        known_hosts=(home / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")),
    )


def read(text: str, name: str) -> Settings:
    """Return the settings in the output of `ssh -G`; `name` is the host as typed. Raises HostError."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key in USED and len(value) <= LONGEST and value not in ("", "none"):
            values.setdefault(key, []).append(value)
    one = {key: found[0] for key, found in values.items()}
    port = _number(one.get("port"), SSH_PORT, name)
    known = Settings(
        hostname=unbracketed(one.get("hostname", name)),
        port=port,
        user=one.get("user", "") or getpass.getuser(),
        identities_only=one.get("identitiesonly") == "yes",
        alias=one.get("hostkeyalias", ""),
        timeout=float(_number(one.get("connecttimeout"), int(CONNECT_TIMEOUT), name)),
        family=FAMILIES.get(one.get("addressfamily", ""), socket.AF_UNSPEC),
        bind=one.get("bindaddress", ""),
    )
    tokens = _tokens(known, name)
    files = [file for key in ("userknownhostsfile", "globalknownhostsfile") for file in one.get(key, "").split()]
    return replace(
        known,
        identities=tuple(_path(each, tokens) for each in values.get("identityfile", [])),
        certificates=tuple(_path(each, tokens) for each in values.get("certificatefile", [])),
        agent=None if "identityagent none" in text.splitlines() else _agent(one.get("identityagent", ""), tokens),
        known_hosts=tuple(_path(file, tokens) for file in files),
        jump=hops(one.get("proxyjump", "")),
        command="" if "proxyjump" in one else _expanded(one.get("proxycommand", ""), tokens, name),
    )


def _number(text: str | None, otherwise: int, name: str) -> int:
    if text is None:
        return otherwise
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise HostError(f"{name}: ssh names no number where one must be: {text[:40]}", f"`ssh -G {name}` shows it")
    return int(text)


def hops(text: str) -> tuple[Hop, ...]:
    """Return the hops in ProxyJump's value: `[user@]host[:port]` or ssh:// URLs, separated by commas."""
    return tuple(_hop(part.strip()) for part in text.split(",") if part.strip())


def _hop(text: str) -> Hop:
    user, _, place = text.removeprefix("ssh://").rstrip("/").rpartition("@")
    found = re.fullmatch(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?", place)
    if found is None:  # an IPv6 address without brackets
        return Hop(place, user)
    return Hop(unbracketed(found["host"]), user, int(found["port"] or 0))


def _tokens(known: Settings, name: str) -> dict[str, str]:
    try:
        account = pwd.getpwuid(os.getuid())
        home, own = account.pw_dir, account.pw_name
    except KeyError:
        home, own = os.environ.get("HOME", "/"), os.environ.get("USER", "")
    machine = socket.gethostname()
    return {
        "%": "%",
        "h": known.hostname,
        "n": name,
        "p": str(known.port),
        "r": known.user,
        "k": known.alias or known.hostname,
        "d": home,
        "u": own,
        "i": str(os.getuid()),
        "l": machine,
        "L": machine.split(".")[0],
    }


def _expanded(text: str, tokens: Mapping[str, str], name: str) -> str:
    """Return a text with its tokens replaced. Raises HostError for an unknown token."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise HostError(f"{name}: your ssh configuration uses %{found[1]}, which is not known here: {text[:60]}")
        return tokens[found[1]]

    return re.sub(r"%(.)", value, text)


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    """Return the path of a file that ssh names. Unknown tokens and variables are left as they are."""
    home = tokens.get("d") or str(Path.home())
    text = home + text[1:] if text == "~" or text.startswith("~/") else text
    text = re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)
    return Path(re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], found[0]), text))


def _agent(text: str, tokens: Mapping[str, str]) -> Path | None:
    if text.startswith("$") and not text.startswith("${"):
        text = os.environ.get(text[1:], "")
    elif text in ("", "SSH_AUTH_SOCK"):
        text = os.environ.get("SSH_AUTH_SOCK", "")
    return _path(text, tokens) if text else None
