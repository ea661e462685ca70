"""`borg key change-passphrase`: another passphrase for the repository's key; the key itself, and all data, stay.

Two places change: the repository, and the escrow folder. So it is announced beforehand, and whoever runs it again ends
what was begun.
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
WRONG = "the passphrase is wrong"  # as `failures.py` has it


def with_passphrase(repository: Repository, passphrase: Secret) -> Repository:
    """Return the repository as another passphrase opens it."""
    return replace(repository, environment={**repository.environment, "BORG_PASSPHRASE": passphrase})


def change_words() -> Words:
    """Return borg's words."""
    return ("key", "change-passphrase")


def change(repository: Repository, new: Secret, how: How = PLAIN) -> Repository:
    """Change it and return the repository as the new one opens it. Raises BorgError and what `Host.run` raises."""
    given = replace(repository, environment={**repository.environment, "BORG_NEW_PASSPHRASE": new})
    run(given, change_words(), how)
    return with_passphrase(repository, new)


def opens(repository: Repository, passphrase: Secret, how: How = PLAIN) -> bool:
    """Tell whether a passphrase opens the repository's key. Raises BorgError for any other fault, and as `run`."""
    try:
        archives(with_passphrase(repository, passphrase), how=how)
    except BorgError as error:
        if WRONG in error.what:
            return False
        raise
    return True


def begun(known: Ledger) -> Record | None:
    """Return the announcement of a change that nobody has ended."""
    return next((each for each in reversed(known.unfinished) if each.details.get("of") == ACTION), None)


def was_changed(repository: Repository, new: Secret, known: Ledger, state: State, how: How = PLAIN) -> bool:
    """Tell whether `new` is the passphrase already, of a change that was begun and has not ended.

    Without an announcement, of an earlier version, it is when the former one opens the repository no more: nobody else
    knows the new one. Raises BorgError.
    """
    differs = known.config_sha256 is not None and state.config_sha256 != known.config_sha256
    if begun(known) is None and not differs:
        return False
    current = repository.environment["BORG_PASSPHRASE"]
    if begun(known) is None and isinstance(current, Secret) and opens(repository, current, how):
        return False
    return opens(repository, new, how)


def refuse_changed_key(app: App, known: Ledger, state: State) -> None:
    """Raise RefusedError when the key is not the recorded one: what is then changed may be a thief's."""
    if known.config_sha256 is not None and state.config_sha256 != known.config_sha256:
        raise RefusedError(
            f"{app.name}: the repository's key was changed already, and not by us",
            f"`inv borg.rollback --app {app.name}` brings the one in escrow back",
        )
