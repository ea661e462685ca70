"""A repository's folder: who holds borg's lock there, and its renaming under that lock, so that nobody is at work."""

import posixpath

from tasks.borg.client import break_lock
from tasks.borg.transactions import SHARED
from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.remote.files import Files
from tasks.storage import set_aside


def refuse_held(app: App, files: Files, folder: str, but: str = "") -> None:
    """Raise RefusedError if somebody holds borg's lock of a repository, exclusively or as a reader.

    `but` is a holder of ours, whose lock file may not be complete yet.
    """
    lock = posixpath.join(folder, "lock.exclusive")
    alone = [name for name in files.names(lock) if not (but and name.startswith(but))] if files.exists(lock) else []
    if not alone and not SHARED.search(set_aside.read_text(files, posixpath.join(folder, "lock.roster"))):
        return
    found = " and ".join(each.told("ssh://") for each in break_lock.holders(files, folder)) or "somebody"
    raise RefusedError(
        f"{app.name}: the repository is held by {found}",
        f"wait for whoever works there, or `inv borg.break-lock --app {app.name}` if nobody does; "
        "then run the same command again",
    )


def rename(app: App, files: Files, folder: str, to: str, holder: str) -> None:
    """Rename a repository's folder under borg's own lock, held by `holder`. Repeatable by the same holder.

    Raises RefusedError, FilesError.
    """
    if not files.exists(to):
        hold(app, files, folder, holder)
        files.rename(folder, to)
    release(files, to, holder)


def hold(app: App, files: Files, folder: str, holder: str) -> None:
    """Take borg's own lock for `holder`, who may have it already. Raises RefusedError, FilesError."""
    lock = posixpath.join(folder, "lock.exclusive")
    refuse_held(app, files, folder, but=holder)
    files.make_directory(lock)
    if holder not in files.names(lock):
        files.write_new(posixpath.join(lock, holder), b"")


def release(files: Files, folder: str, holder: str) -> None:
    """Remove borg's lock, if it is that of `holder`. Raises FilesError."""
    lock = posixpath.join(folder, "lock.exclusive")
    if files.exists(lock) and all(name.startswith(holder) for name in files.names(lock)):
        set_aside.remove(files, lock)
