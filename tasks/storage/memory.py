"""What borg's clients remember of a repository, and must forget after it was put back to an earlier state.

A client that saw the newer state refuses the older one until both its cache and `manifest-timestamp` are gone; `nonce`
beside it must stay, or encrypted data could be written twice with one nonce (tried, borg 1.2.4 and 1.4.5).
"""

import re
from collections.abc import Iterator

from tasks.errors import AppError, CloudbackupError, InterruptedRunError
from tasks.inventory.models import App
from tasks.remote.script import Script
from tasks.storage.repository import Side
from tasks.storage.session import Session

_ID = re.compile(rb"^id = ([0-9a-f]{64})$", re.MULTILINE)
# As borg finds its folders (borg 1.2.4 and 1.4.5, helpers/fs.py).
_FORGET = r"""
if [ -n "${BORG_BASE_DIR:-}" ]; then cache=$BORG_BASE_DIR/.cache config=$BORG_BASE_DIR/.config
else cache=${XDG_CACHE_HOME:-$HOME/.cache} config=${XDG_CONFIG_HOME:-$HOME/.config}; fi
cache=${BORG_CACHE_DIR:-$cache/borg}
security=${BORG_SECURITY_DIR:-${BORG_CONFIG_DIR:-$config/borg}/security}
rm -rf -- "$cache/$REPOSITORY_ID"
rm -f -- "$security/$REPOSITORY_ID/manifest-timestamp"
"""


def forget(session: Session, app: App) -> Iterator[str]:
    """Let the app's host and the operator's side forget the state of the app's repository; yield where that failed.

    Raises InterruptedRunError alone.
    """
    try:
        storage = session.storage_of(app)
        found = _ID.search(storage.files(app).read(f"{storage.path(app)}/config"))
        if found is None:
            raise AppError(f"{app.name}: its repository has no `id` in its config")
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        yield error.what
        return
    for side in Side:
        try:
            _forget_on(session, app, side, found[1].decode())
        except InterruptedRunError:
            raise
        except CloudbackupError as error:
            yield error.what


def _forget_on(session: Session, app: App, side: Side, repository_id: str) -> None:
    repository = session.repository(app, side)
    known = {key: value for key, value in repository.environment.items() if key == "BORG_BASE_DIR"}
    output = repository.host.run(Script(_FORGET, {**known, "REPOSITORY_ID": repository_id}), timeout=120)
    if not output.ok:
        raise AppError(f"{app.name}: borg's memory of the repository stays on {repository.host.name}")
