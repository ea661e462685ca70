"""`borg delete`: drop named archives. A whole repository is never deleted through this."""

from collections.abc import Sequence

from tasks.borg.client.runner import PLAIN, How, Result, run_writing, script
from tasks.errors import UsageError
from tasks.remote.script import Words
from tasks.storage.repository import Repository


def delete_words(names: Sequence[str]) -> Words:
    """Return borg's arguments. Raises UsageError without a name: borg would delete the whole repository."""
    if not names or not all(names):
        raise UsageError("name the archives to delete")
    first, *others = names
    return ("delete", f"::{first}", *others)


def delete(repository: Repository, names: Sequence[str], how: How = PLAIN) -> Result:
    """Drop archives from the listing; `compact` frees their space. Callers ask `guard.may_free` first.

    Raises BorgError, UsageError, and what `Host.run` raises.
    """
    return run_writing(repository, script(repository, delete_words(names), how), how)
