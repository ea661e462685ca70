"""Whether the escrow folder's copy of a repository's key would open it. Does not run borg.

`borg key export` writes `BORG_KEY <repository id>`, followed by the key as in the repository's `config`, in lines
(tried, borg 1.2.4 and 1.4.5). The key is encrypted with its passphrase, so each change of passphrase gives another one.
"""

import hashlib
import re
from pathlib import Path

from tasks.borg.client.key_export import escrow_path
from tasks.errors import AppError

_FORM = re.compile(rb"BORG_KEY ([0-9a-f]{64})\s+([A-Za-z0-9+/=\s]+)")


def read_copy(path: Path) -> bytes | None:
    """Return the bytes of a key's copy; None if there is none. Raises AppError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AppError(f"the copy of the repository's key in {path} cannot be read: {error.strerror}") from error


def fault(folder: Path, storage: str, app: str, repository_id: str | None, key: str | None) -> str | None:
    """Return what is wrong with the copy of a repository's key; None if nothing is.

    `key` is the digest of the repository's current key (`State.key_sha256`); if it or the repository's id is None, the
    copy is not compared with it.
    """
    path = escrow_path(folder, storage, app)
    try:
        copy = read_copy(path)
    except AppError as error:
        return error.what
    if copy is None:
        return f"no copy of the repository's key in {folder}: `inv borg.key-export --app {app}`"
    found = _FORM.fullmatch(copy)
    if found is None:
        return f"{path} holds no key: move it away, then `inv borg.key-export --app {app}`"
    if repository_id is not None and found[1].decode() != repository_id:
        return f"{path} holds the key of another repository: `inv borg.key-export --app {app} --replace` keeps both"
    if key is not None and hashlib.sha256(b"".join(found[2].split())).hexdigest() != key:
        return f"{path} does not hold the key that the repository has now: `inv app.check --app {app}`"
    return None
