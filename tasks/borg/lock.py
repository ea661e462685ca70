"""Who holds a repository whose lock borg waited for in vain."""

from tasks.borg.client.break_lock import holders
from tasks.borg.client.runner import BorgError
from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.run.session import Session


def is_locked(error: BorgError) -> bool:
    """Return whether borg gave up because another borg held the lock of the repository (or its cache) all the time."""
    return error.msgid == "LockTimeout"


def named(session: Session, app: App, error: BorgError) -> AppError:
    """Return the lock error with the holder's name added; unchanged if the holder is unknown."""
    storage = session.storage_of(app)
    try:
        found = holders(*storage.lock_place(app))
    except AppError:
        return error
    if not found:
        return error
    if any(holder.rollback for holder in found):
        how = f"end it by the same command, or `inv borg.rollback --app {app.name} --undo`"
        return AppError(f"{app.name}: the repository is locked by a rollback that has not ended", how)
    who = " and ".join(holder.told(storage.url(app)) for holder in found)
    return AppError(
        f"{app.name}: the repository is locked by {who}",
        f"wait for that run, or give `defaults: lock_wait` more time; if it is gone for good (its machine died), "
        f"`inv borg.break-lock --app {app.name}` removes its lock",
    )
