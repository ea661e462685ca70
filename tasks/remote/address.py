"""Names and addresses of SSH servers: one rule for the brackets of IPv6, for accounts and for ports."""

SSH_PORT = 22


def split_account(target: str) -> tuple[str, str]:
    """Return the account (empty when there is none) and the host, without brackets, of `[user@]host` as ssh takes it.

    An account may hold an `@` itself, so the last one counts (ssh(1)).
    """
    user, _, host = target.rpartition("@")
    return user, unbracketed(host)


def unbracketed(host: str) -> str:
    """Return a host without the brackets that an IPv6 address may stand in."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bracketed(host: str) -> str:
    """Return a host as URLs and `host:port` have it: an IPv6 address in brackets."""
    host = unbracketed(host)
    return f"[{host}]" if ":" in host else host


def known_name(host: str, port: int) -> str:
    """Return the name under which known_hosts has a server (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    host = unbracketed(host)
    return host if port == SSH_PORT else f"[{host}]:{port}"


def where(target: str, port: int) -> str:
    """Return a target as messages name it."""
    return f"{target} (port {port})"
