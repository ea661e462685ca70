"""Logging in to a host with the keys that ssh would offer, in its order, with a note on each key for the error."""

import base64
import os
import shlex
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.ssh_exception import BadAuthenticationType

from tasks.remote.running import HostError
from tasks.remote.ssh_settings import Settings

MAGIC = b"openssh-key-v1\0"
MOST = 1 << 18  # bytes of a key file; the largest keys take a few kB


class LoginRefusedError(HostError):
    """A host refused the login with everything that was offered."""


class LoginError(paramiko.AuthenticationException):
    """Raised inside a connection attempt. `tried` names each key and, if it was not offered, why."""

    def __init__(self, tried: list[str], reason: str = "") -> None:
        super().__init__(reason)
        self.tried = tried
        self.reason = reason


@dataclass(frozen=True)
class PasswordLogin:
    """Logs in by password; paramiko calls it as its `auth_strategy`."""

    user: str
    password: Callable[[], str]

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Log in; return the methods that the server requires in addition, normally none. Raises LoginError."""
        try:
            return list(transport.auth_password(self.user, self.password()))
        except BadAuthenticationType as error:
            raise LoginError([], f"the server takes {', '.join(error.allowed_types)}, no password") from error
        except paramiko.AuthenticationException as error:
            raise LoginError([], "the password is wrong") from error


@dataclass(frozen=True)
class KeyLogin:
    """Logs in by the keys of the settings; paramiko calls it as its `auth_strategy`."""

    known: Settings

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Log in with the first key that is accepted; return []. Raises LoginError, SSHException, EOFError."""
        tried: list[str] = []
        for name, key in offers(self.known):
            if isinstance(key, str):
                tried.append(f"{name} ({key})")
                continue
            tried.append(name)
            try:
                missing = transport.auth_publickey(self.known.user, key)
            except BadAuthenticationType as error:
                raise LoginError(tried, f"the server takes {', '.join(error.allowed_types)}, no key") from error
            except (paramiko.AuthenticationException, paramiko.SSHException) as error:
                if not transport.is_active():
                    raise LoginError(tried, "the server ended it: too many keys were offered") from error
                continue
            if missing:
                raise LoginError(tried, f"after the key the server wants {', '.join(missing)} as well")
            return []
        raise LoginError(tried)


def offers(known: Settings) -> Iterator[tuple[str, paramiko.PKey | str]]:
    """Yield what to offer, as pairs of a name and either a key or the reason why it cannot be used.

    The order is ssh's: the agent's keys that the settings name, its other keys, then files (ssh_config(5),
    IdentitiesOnly).
    """
    own = {file: public_blob(file) for file in known.identities if _there(file)}
    agent = agent_keys(known.agent)
    named = [key for key in agent if key.asbytes() in own.values()]
    hidden = any(blob is None for blob in own.values())  # a file whose public key cannot be read
    others = [key for key in agent if key not in named] if not known.identities_only or hidden else []
    for key in (*named, *others):
        name = f"{key.comment or key.get_name()} of the agent"
        yield from ((name, certified) for certified in _certified(known, lambda key=key: key))  # type: ignore[misc]
        yield name, key
    there = {key.asbytes() for key in named}
    for file, blob in own.items():
        if blob not in there or blob is None:
            yield from _file_offers(known, file)


def _there(file: Path) -> bool:
    with suppress(OSError):
        return file.exists()
    return False


def _file_offers(known: Settings, file: Path) -> Iterator[tuple[str, paramiko.PKey | str]]:
    if too_open(file):
        yield str(file), f"mode {mode(file)}, which ssh refuses"
        return
    try:
        key = _loaded(file)
    except OSError as error:
        yield str(file), str(error.strerror)
        return
    except (paramiko.PasswordRequiredException, TypeError):
        yield str(file), "has a passphrase, and is not in the agent"
        return
    except (ValueError, paramiko.SSHException):
        if public_line(file) is None:
            yield str(file), "cannot be read as a key"
        return
    own = file.with_name(file.name + "-cert.pub")
    for certified in _certified(known, lambda: _loaded(file), *([own] if own.exists() else [])):
        yield f"{file} with its certificate", certified
    yield str(file), key


def _loaded(file: Path) -> paramiko.PKey:
    """Return the private key in a file, without a certificate."""
    if file.stat().st_size > MOST:
        raise ValueError(file)
    key = paramiko.PKey.from_path(file)
    key.public_blob = None
    return key


def _certified(known: Settings, load: Callable[[], paramiko.PKey], *more: Path) -> Iterator[paramiko.PKey]:
    """Yield the key once with each certificate that belongs to it."""
    for file in (*known.certificates, *more):
        with suppress(OSError, ValueError, paramiko.SSHException):
            key = load()
            before = key.public_blob
            key.load_certificate(str(file))
            yield key
            key.public_blob = before


def agent_keys(place: Path | None) -> tuple[AgentKey, ...]:
    """Return the keys of the agent behind a socket; none if it does not answer."""
    if place is None:
        return ()
    with suppress(OSError, paramiko.SSHException):
        return _Agent(place).get_keys()
    return ()


class _Agent(AgentSSH):
    """An agent on a socket other than SSH_AUTH_SOCK's."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        plug = socket.socket(socket.AF_UNIX)
        plug.settimeout(20)
        plug.connect(str(path))
        self._connect(plug)  # type: ignore[attr-defined]  # not in the stubs


def public_blob(file: Path) -> bytes | None:
    """Return the public key of a key file, from the file itself or the .pub beside it; None if neither has it."""
    for candidate in (file.with_name(file.name + ".pub"), file):
        line = public_line(candidate)
        if line is not None:
            return line
    with suppress(OSError, ValueError):
        lines = file.read_text(errors="replace")[:MOST].strip().splitlines()
        raw = base64.b64decode("".join(lines[1:-1]), validate=True)
        if raw.startswith(MAGIC):  # PROTOCOL.key: the public key is not encrypted
            message = paramiko.Message(raw[len(MAGIC) :])
            for _ in range(3):
                message.get_binary()
            message.get_int()
            return message.get_binary()
    return None


def public_line(file: Path) -> bytes | None:
    """Return the key in a file that holds a public key line, else None."""
    with suppress(OSError, ValueError):
        words = file.read_text(errors="replace")[:MOST].split(maxsplit=2)
        if len(words) > 1 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
            return base64.b64decode(words[1], validate=True)
    return None


def too_open(file: Path) -> bool:
    """Return whether ssh would refuse the file: our own, with permissions for others (OpenSSH sshkey_perm_ok)."""
    with suppress(OSError):
        found = file.stat()
        return found.st_uid == os.getuid() and bool(found.st_mode & 0o077) and stat.S_ISREG(found.st_mode)
    return False


def mode(file: Path) -> str:
    """Return a file's mode as `chmod` takes it."""
    return f"{stat.S_IMODE(file.stat().st_mode):04o}"


def refuse_open_key(file: Path, whose: str) -> None:
    """Raise HostError for a private key that ssh would refuse for its mode, or that cannot be read."""
    if too_open(file):
        what = f"{whose}: the private key {file} may be read by others (mode {mode(file)}), so ssh refuses it"
        raise HostError(what, f"`chmod 600 {shlex.quote(str(file))}`")
    if file.exists() and not os.access(file, os.R_OK):
        raise HostError(
            f"{whose}: the private key {file} may not be read by you",
            f"`ls -l {shlex.quote(str(file))}` shows whose it is",
        )
