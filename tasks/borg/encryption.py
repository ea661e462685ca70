"""Whether a repository is encrypted. One that is not takes no backup: whoever reads the storage reads every archive."""

_ENCRYPTED = ("repokey", "keyfile")  # and their -blake2 forms: all that need a passphrase and hide what they hold


def is_encrypted(mode: str) -> bool:
    """Tell whether borg's name of an encryption is one; `none` and `authenticated` are not."""
    return mode.startswith(_ENCRYPTED)


def remedy(app: str) -> str:
    """Return what to do with such a repository."""
    return (
        f"whoever can read the storage can read every archive in it: move it away and run `inv borg.init --app {app}`, "
        "which makes an encrypted one; delete what was saved here"
    )


def fault(app: str, mode: str) -> str:
    """Return the sentence on an app's repository that is not encrypted."""
    return f"{app}: the repository is not encrypted ({mode})"
