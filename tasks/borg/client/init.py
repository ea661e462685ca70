"""`borg init`: create an app's encrypted repository, and export its key to the escrow folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.borg import encryption
from tasks.borg.client.key_export import Escrow, key_export, unannounced
from tasks.borg.client.list import archives
from tasks.borg.client.runner import PLAIN, BorgError, How, refill, run_writing, script
from tasks.errors import AppError
from tasks.remote.script import Words
from tasks.storage.repository import Repository

ENCRYPTION = "repokey-blake2"


@dataclass(frozen=True)
class Initialised:
    """`created`: whether the repository is new; `encryption`: its mode; `escrow`: the copies of its key."""

    created: bool
    repository_id: str
    encryption: str
    escrow: Escrow


def init_words() -> Words:
    """Return borg's arguments for a new repository."""
    return ("init", f"--encryption={ENCRYPTION}", "--make-parent-dirs")


def init(
    repository: Repository, escrow: Path, how: How = PLAIN, *, announced: Callable[[], None] = unannounced
) -> Initialised:
    """Create the repository, or open the existing one, and export its key to the folder `escrow`.

    Use the operator's side of a repository. Running it again changes nothing; `announced` is called before the escrow
    folder changes. Raises BorgError (wrong passphrase, storage unreachable), AppError for an unencrypted repository,
    RefusedError if the escrow folder holds another key of it, and what `Host.run` raises.
    """
    created = _make(repository, how)
    listing = archives(repository, how=how)
    if not encryption.is_encrypted(listing.encryption):
        raise AppError(encryption.fault(repository.app, listing.encryption), encryption.remedy(repository.app))
    kept = key_export(repository, escrow, announced=announced, how=how)
    return Initialised(created, listing.repository_id, listing.encryption, kept)


def _make(repository: Repository, how: How) -> bool:
    if refill(repository, how) is not None:
        return False
    try:
        run_writing(repository, script(repository, init_words(), how), how)
    except BorgError as error:
        if error.msgid == "Repository.AlreadyExists":
            return False
        raise
    return True
