"""`borg key change-passphrase`: a new passphrase for the repository's key; the key itself and all data stay.

Both the repository and the escrow folder change. So the change is announced first, and running it again completes a
change that was begun.
"""

from dataclasses import replace

from tasks.borg.client.list import archives
from tasks.borg.client.runner import PLAIN, BorgError, How, run
from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.records.ledger import Ledger
from tasks.records.record import Record
from tasks.remote.script import Words
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository
from tasks.storage.state import State

ACTION = "change-passphrase"
WRONG = "the passphrase is wrong"  # as worded in `client/errors.py`


def with_passphrase(repository: Repository, passphrase: Secret) -> Repository:
    """Return the repository, opened with another passphrase."""
    return replace(repository, environment={**repository.environment, "BORG_PASSPHRASE": passphrase})


def change_words() -> Words:
    """Return borg's arguments."""
    return ("key", "change-passphrase")


def change(repository: Repository, new: Secret, how: How = PLAIN) -> Repository:
    """Change it and return the repository opened with the new one. Raises BorgError and what `Host.run` raises."""
    given = replace(repository, environment={**repository.environment, "BORG_NEW_PASSPHRASE": new})
    run(given, change_words(), how)
    return with_passphrase(repository, new)


def opens(repository: Repository, passphrase: Secret, how: How = PLAIN) -> bool:
    """Return whether a passphrase opens the repository's key. Raises BorgError for any other fault, and as `run`."""
    try:
        archives(with_passphrase(repository, passphrase), how=how)
    except BorgError as error:
        if WRONG in error.what:
            return False
        raise
    return True


def begun(known: Ledger) -> Record | None:
    """Return the announcement of a change that has not ended."""
    return next((each for each in reversed(known.unfinished) if each.details.get("of") == ACTION), None)


def was_changed(repository: Repository, new: Secret, known: Ledger, state: State, how: How = PLAIN) -> bool:
    """Return whether `new` is already the passphrase, because of a change that was begun and has not ended.

    If an earlier version began it, there is no announcement: then it was changed if the former passphrase no longer
    opens the repository, as nobody else knows the new one. Raises BorgError.
    """
    differs = known.config_sha256 is not None and state.config_sha256 != known.config_sha256
    if begun(known) is None and not differs:
        return False
    current = repository.environment["BORG_PASSPHRASE"]
    if begun(known) is None and isinstance(current, Secret) and opens(repository, current, how):
        return False
    return opens(repository, new, how)


def refuse_changed_key(app: App, known: Ledger, state: State) -> None:
    """Raise RefusedError if the key is not the recorded one: it may be a thief's."""
    if known.config_sha256 is not None and state.config_sha256 != known.config_sha256:
        raise RefusedError(
            f"{app.name}: the repository's key was changed already, and not by us",
            f"`inv borg.rollback --app {app.name}` brings the one in escrow back",
        )
