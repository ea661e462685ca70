"""Volume claims that hold an app's data, as `app.kubernetes --volume` names them, and what its pods need of them."""

import posixpath
import re
from collections.abc import Sequence

from tasks.app.pods import Mount
from tasks.errors import UsageError
from tasks.inventory.models import App


def mounts(app: App, directory: str | None, given: Sequence[str], user: int) -> list[Mount]:
    """Return the claims to mount; `directory` is the storage's directory, if it has one.

    Raises UsageError if a local path of the inventory is in none of them.
    """
    found = [_mount(text, directory) for text in given]
    if not app.is_local:
        if found:
            raise UsageError(f"{app.name} is on {app.host}: its pods mount no volume of it", "leave --volume out")
        return []
    if directory is not None and user == 0:
        raise UsageError(
            f"{app.name}: its storage is a directory, in which root would write what nobody else may read",
            "give --user the number of whom the directory belongs to",
        )
    lacking = [path for path in _needed(app, directory) if not any(_inside(path, mount.path) for mount in found)]
    if lacking:
        raise UsageError(
            f"{app.name} is `local`, to a pod as well, and no volume holds {', '.join(lacking)}",
            "; ".join(f"give --volume CLAIM:{path}" for path in lacking),
        )
    return found


def _mount(text: str, directory: str | None) -> Mount:
    claim, _, path = text.partition(":")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", claim) or not path.startswith("/"):
        raise UsageError(f"--volume {text} is not CLAIM:PATH", "such as --volume shop-files:/srv/shop")
    path = posixpath.normpath(path)
    return Mount(claim, path, writable=directory is not None and _inside(directory, path))


def _needed(app: App, directory: str | None) -> list[str]:
    needed = list(app.files.paths) if app.files else []
    if app.mariadb and not app.mariadb.exec:
        needed.append(app.mariadb.datadir or "/var/lib/mysql")
    needed += [dump.sqlite.path for dump in app.dumps.values() if dump.sqlite and not dump.sqlite.exec]
    return [*needed, *([directory] if directory else [])]


def _inside(path: str, folder: str) -> bool:
    return posixpath.commonpath((path, folder)) == folder
