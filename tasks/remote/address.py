"""Names and addresses of SSH servers: the one place that handles IPv6 brackets, accounts and ports."""

SSH_PORT = 22


def split_account(target: str) -> tuple[str, str]:
    """Return the account (empty if none) and the host, without brackets, of `[user@]host` as ssh takes it.

    The account may itself contain an `@`, so the last one separates the two (ssh(1)).
    """
    user, _, host = target.rpartition("@")
    return user, unbracketed(host)


def unbracketed(host: str) -> str:
    """Return a host without the brackets around an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bracketed(host: str) -> str:
    """Return a host as it is written in URLs and in `host:port`: an IPv6 address in brackets."""
    host = unbracketed(host)
    return f"[{host}]" if ":" in host else host


def known_name(host: str, port: int) -> str:
    """Return the server's name as known_hosts writes it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    host = unbracketed(host)
    return host if port == SSH_PORT else f"[{host}]:{port}"


def where(target: str, port: int) -> str:
    """Return a target as it is written in messages."""
    return f"{target} (port {port})"
