"""`borg key change-passphrase`: another passphrase for the repository's key; the key itself, and all data, stay."""

from dataclasses import replace

from tasks.borg.guard import Evidence
from tasks.borg.runner import PLAIN, How, run
from tasks.errors import RefusedError
from tasks.remote.script import Words
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository


def change_words() -> Words:
    """Return borg's words."""
    return ("key", "change-passphrase")


def change(repository: Repository, new: Secret, how: How = PLAIN) -> Repository:
    """Change it and return the repository as the new one opens it. Raises BorgError and what `Host.run` raises."""
    given = replace(repository, environment={**repository.environment, "BORG_NEW_PASSPHRASE": new})
    run(given, change_words(), how)
    return replace(repository, environment={**repository.environment, "BORG_PASSPHRASE": new})


def refuse_changed_key(found: Evidence) -> None:
    """Raise RefusedError when the key is not the recorded one: what is then changed may be a thief's."""
    expected = found.known.config_sha256
    if expected is not None and found.state.config_sha256 != expected:
        raise RefusedError(
            f"{found.app.name}: the repository's key was changed already, and not by us",
            f"`inv borg.rollback --app {found.app.name}` brings the one in escrow back",
        )
