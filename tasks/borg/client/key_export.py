"""`borg key export`: copy the repository's key to the operator's escrow folder.

Without the copy, a repository whose own key was damaged or replaced is lost: the passphrase alone opens nothing.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.client.runner import PLAIN, BorgError, How, run
from tasks.errors import AppError, RefusedError
from tasks.files import replace_whole
from tasks.remote.script import Words
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class Escrow:
    """The copies of one repository's key: one for `borg key import`, one to print and type in.

    `kept` is where a former, different key was moved.
    """

    key: Path
    paper: Path
    kept: Path | None = None


def key_export_words(*, paper: bool = False) -> Words:
    """Return borg's arguments; both versions print the key to standard output if no file is named."""
    return ("key", "export", *(("--paper",) if paper else ()))


def escrow_path(folder: Path, storage: str, app: str) -> Path:
    """Return the path of the key of an app's repository in the escrow folder."""
    return folder / f"{storage}-{app}.key"


def exported(repository: Repository, *, paper: bool = False, how: How = PLAIN) -> bytes:
    """Return the repository's key, still encrypted with its passphrase. Raises BorgError and what `Host.run` raises."""
    result = run(repository, key_export_words(paper=paper), how)
    if not result.stdout.strip():
        raise BorgError(f"{repository.app}: borg gave an empty key", "", result)
    return result.stdout.strip() + b"\n"


def unannounced() -> None:
    """Announce nothing, for callers that have done so already or need no announcement."""


def key_export(
    repository: Repository,
    folder: Path,
    *,
    replace: bool = False,
    announced: Callable[[], None] = unannounced,
    how: How = PLAIN,
) -> Escrow:
    """Write both forms of the key into `folder` (mode 700, files 600) and compare them with a fresh export.

    `announced` is called once it is certain that a file there will be changed, and may be. A different key in the
    folder is never overwritten: RefusedError, or, with `replace`, it is moved aside. Raises BorgError, AppError if the
    folder cannot be written, and what `Host.run` raises.
    """
    path = escrow_path(folder, repository.storage, repository.app)
    key, paper = exported(repository, how=how), exported(repository, paper=True, how=how)
    kept = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        escrow = Escrow(path, path.with_name(path.name + ".txt"))
        former = _content(escrow.key)
        if former not in (None, key) and not replace:
            raise _differs(repository, path)
        if former != key or _content(escrow.paper) != paper:
            announced()
        if former not in (None, key):
            kept = path.with_suffix(f".{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.key")
            replace_whole(kept, former, 0o600)  # a copy: at every moment there is a key in its place
        replace_whole(escrow.key, key, 0o600)
        replace_whole(escrow.paper, paper, 0o600)
        written = escrow.key.read_bytes()
    except OSError as error:
        raise AppError(f"{repository.app}: cannot write the key to {folder}: {error.strerror}") from error
    if written != exported(repository, how=how):
        raise AppError(f"{repository.app}: the repository's key changed while it was exported", "do it again")
    return dataclasses.replace(escrow, kept=kept)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _differs(repository: Repository, path: Path) -> RefusedError:
    return RefusedError(
        f"{repository.app}: the repository's key is not the one in {path}",
        f"if you changed the passphrase, `inv borg.key-export --app {repository.app} --replace` keeps both; if not, "
        "somebody replaced the key in the repository, and the escrow copy is the good one: "
        "`borg key import` brings it back, as `Restore in an emergency` in the README shows",
    )
