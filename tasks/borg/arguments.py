"""A new passphrase given on the command line, as a reference."""

import shlex
from pathlib import Path

from tasks.errors import UsageError
from tasks.inventory.models import SecretReference
from tasks.remote.secret import Secret, resolve


def new_passphrase(text: str, app: str) -> Secret:
    """Return the secret that `env:NAME`, `file:PATH` or `command:WORDS` names. Raises UsageError."""
    kind, _, rest = text.partition(":")
    if kind not in ("env", "file", "command") or not rest:
        raise UsageError(
            "--new names no place", "write env:NAME, file:PATH or command:WORDS; never the passphrase itself"
        )
    if kind == "env":
        reference = SecretReference(env=rest)
    elif kind == "file":
        reference = SecretReference(file=Path(rest).expanduser().absolute())
    else:
        reference = SecretReference(command=tuple(shlex.split(rest)))
    return resolve(reference, f"the new passphrase of {app}")
