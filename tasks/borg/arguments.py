"""What a person gives on the command line, read into values."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import UsageError
from tasks.inventory.models import SecretReference
from tasks.remote.secret import Secret, resolve


def moment(text: str) -> datetime:
    """Return a moment from `2026-11-22T03:00`, in UTC unless it names a zone. Raises UsageError."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no time", "write it as 2026-11-22T03:00, or 2026-11-22T03:00+01:00") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


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
