"""The data that borg's clients keep about a repository, which must go after the repository was set back.

A client that saw the newer state refuses the older one until both its cache and `manifest-timestamp` are deleted; the
`nonce` file beside it must stay, or data could be encrypted twice with one nonce (tried, borg 1.2.4 and 1.4.5).
"""

import re
from collections.abc import Iterator

from tasks.errors import CloudbackupError, RefusedError
from tasks.inventory.models import App
from tasks.remote.script import Script
from tasks.run.session import Session
from tasks.storage.repository import Repository, Side

_ID = re.compile(rb"^id = ([0-9a-f]{64})$", re.MULTILINE)
# Folders located as borg does (borg 1.2.4 and 1.4.5, helpers/fs.py).
_FORGET = r"""
if [ -n "${BORG_BASE_DIR:-}" ]; then cache=$BORG_BASE_DIR/.cache config=$BORG_BASE_DIR/.config
else cache=${XDG_CACHE_HOME:-$HOME/.cache} config=${XDG_CONFIG_HOME:-$HOME/.config}; fi
cache=${BORG_CACHE_DIR:-$cache/borg}
security=${BORG_SECURITY_DIR:-${BORG_CONFIG_DIR:-$config/borg}/security}
rm -rf -- "$cache/$REPOSITORY_ID"
rm -f -- "$security/$REPOSITORY_ID/manifest-timestamp"
"""


def repository_id(config: bytes) -> str:
    """Return a repository's id from the bytes of its `config`. Raises RefusedError."""
    found = _ID.search(config)
    if found is None:
        raise RefusedError("the repository's `config` names no id", "is it a Borg repository?")
    return found[1].decode()


def forget(repository: Repository, identity: str) -> bool:
    """Delete what one side keeps about the newer state of the repository with that id. Raises HostError."""
    known = {key: value for key, value in repository.environment.items() if key == "BORG_BASE_DIR"}
    return repository.host.run(Script(_FORGET, {**known, "REPOSITORY_ID": identity}), timeout=120).ok


def forgotten(session: Session, app: App) -> Iterator[str]:
    """Delete what the app's host and the operator's side keep about a repository's newer state; yield the failures.

    Raises only InterruptedRunError.
    """
    storage = session.storage_of(app)
    try:
        identity = repository_id(storage.files(app).read(f"{storage.path(app)}/config"))
    except CloudbackupError as error:
        yield f"{app.name}: {error.what}"
        return
    for side in Side:
        try:
            repository = session.repository(app, side)
            if not forget(repository, identity):
                yield f"{app.name}: borg's memory of the repository stays on {repository.host.name}"
        except CloudbackupError as error:
            yield f"{app.name}: {error.what}"
