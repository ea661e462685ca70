"""Errors for connections that could not be made: what happened, and what to do."""

import socket
from typing import NoReturn

from tasks.remote import jump
from tasks.remote.address import where
from tasks.remote.advice import Advice
from tasks.remote.host_key import HostKeyError, host_key_fault
from tasks.remote.login import LoginError, LoginRefusedError
from tasks.remote.running import HostError
from tasks.remote.script import quote
from tasks.remote.ssh_settings import Settings
from tasks.remote.ssh_target import SshTarget


def refuse(
    target: SshTarget,
    known: Settings,
    error: Exception,
    proxy: jump.Proxy | None,
) -> NoReturn:
    """Raise the error for a connection that could not be made."""
    place = where(target.host, known.port)
    if proxy is not None:
        said = "" if isinstance(error, HostKeyError | LoginError) else proxy.last_words()
        proxy.close()
        if said or not isinstance(error, HostKeyError | LoginError):
            raise way_fault(place, known, said) from error
    if isinstance(error, HostKeyError):
        raise host_key_fault(place, target, known, error) from error
    if isinstance(error, LoginError):
        raise login_fault(place, target, known, error) from error
    raise fault(place, target.advice, error) from error


def way_fault(place: str, known: Settings, said: str) -> HostError:
    """Return the error for a jump host or proxy that did not connect to the host."""
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


def login_fault(place: str, target: SshTarget, known: Settings, error: LoginError) -> HostError:
    """Return the error for a refused login: the account, the keys tried, and the line that would admit one of them."""
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


def fault(place: str, advice: Advice, error: Exception) -> HostError:
    """Return the error for a connection that failed before the key exchange or the login."""
    if isinstance(error, socket.gaierror):
        return HostError(f"{place}: the name cannot be resolved: {error.strerror}", advice.unknown_name)
    if isinstance(error, ConnectionRefusedError):
        return HostError(f"{place}: cannot be reached: it refuses connections", advice.refused, transient=True)
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError) or _without_banner(error):
        return HostError(
            f"{place}: cannot be reached: it dropped the connection before the login", advice.dropped, transient=True
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return HostError(
        f"{place}: cannot be reached: {reason}", "check the name, the port and the network", transient=True
    )


def _without_banner(error: Exception) -> bool:
    """Return whether the server hung up before it sent its banner (paramiko's Transport._check_banner)."""
    said = "Error reading SSH protocol banner" in str(error)
    return said and isinstance(error.__context__, ConnectionError | EOFError)
