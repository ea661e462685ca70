"""Whether a repository is encrypted.

Unencrypted repositories get no backups: anybody who reads the storage could read every archive.
"""

_ENCRYPTED = ("repokey", "keyfile")  # also their -blake2 forms: all that need a passphrase and encrypt data


def is_encrypted(mode: str) -> bool:
    """Return whether borg's encryption mode encrypts; `none` and `authenticated` do not."""
    return mode.startswith(_ENCRYPTED)


def remedy(app: str) -> str:
    """Return the remedy for an unencrypted repository."""
    return (
        f"whoever can read the storage can read every archive in it: move it away and run `inv borg.init --app {app}`, "
        "which makes an encrypted one; delete what was saved here"
    )


def fault(app: str, mode: str) -> str:
    """Return the error sentence for an app's unencrypted repository."""
    return f"{app}: the repository is not encrypted ({mode})"
