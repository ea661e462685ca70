"""SSH keys of the lab: made by ssh-keygen, ed25519, without a passphrase."""

import subprocess
from pathlib import Path

from lab import programs


def make(path: Path, comment: str) -> None:
    """Make a key pair at `path` and `path`.pub, unless it is there."""
    if not path.exists():
        words = (programs.find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        subprocess.run(words, check=True, capture_output=True)


def public(path: Path) -> str:
    """Return the public key beside the private one: type, key and comment on one line."""
    return path.with_name(path.name + ".pub").read_text().strip()


def pin(path: Path) -> str:
    """Return the public key without its comment, as an inventory pins it."""
    return " ".join(public(path).split()[:2])
