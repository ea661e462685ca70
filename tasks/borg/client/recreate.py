"""`borg recreate --comment`: the verdict on an archive, in the archive's own comment.

borg fixes the comment when a backup begins, and the verdict is known at its end: a file that cannot be read is found
while it runs, an archive unlike its predecessors after it. A second archive that says so would take a place in `keep`,
and a name is of one form. So the archive is made again from its own list of chunks with a longer comment: no file is
read and no chunk sent, it keeps its name and times, and takes 3 seconds for 100,000 files (1.2.4, 1.4.5). It gets
another id, which its record must hold.

The key of a host, which may only append, can do it. borg puts the new archive in the place of the old one in one
commit: whatever dies before leaves the old one, announced (`making.py`), without the comment.
"""

from tasks.borg.client.archive_name import parse
from tasks.borg.client.create import literal
from tasks.borg.client.list import Archive, look_up
from tasks.borg.client.runner import PLAIN, BorgError, How, run_writing, script
from tasks.errors import AppError
from tasks.records.verdict import PREFIX, Verdict
from tasks.remote.script import Words
from tasks.storage.repository import Repository


def recreate_words(archive: str, comment: str) -> Words:
    """Return borg's words for another comment; nothing of the archive's contents changes."""
    return ("recreate", f"--comment={literal(comment)}", f"::{archive}")


def annotate(repository: Repository, archive: str, verdict: Verdict, how: How = PLAIN) -> str:
    """Add the verdict to an archive's comment, in place of an earlier one; return the archive's id from then on.

    A verdict of ok takes an earlier one out. With nothing to change, nothing is. Use the host's side, or the
    operator's. Raises AppError when there is no such archive, BorgError, and what `Host.run` raises.
    """
    before = _found(repository, archive, how)
    wanted = _with(before.comment or "", verdict)
    if wanted == (before.comment or ""):
        return before.id
    result = run_writing(repository, script(repository, recreate_words(archive, wanted), how), how)
    after = _found(repository, archive, how)
    if after.comment != wanted:
        raise BorgError(f"{repository.app}: borg did not change the comment of {archive}", "", result)
    return after.id


def _with(comment: str, verdict: Verdict) -> str:
    stem = comment.partition(PREFIX)[0].rstrip()
    return f"{stem} {_printable(verdict.comment)}".strip()


def _printable(text: str) -> str:
    """Return a text of one line that every terminal can show and borg can store."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _found(repository: Repository, archive: str, how: How) -> Archive:
    named = parse(archive)
    found = look_up(repository, named.app, named.source, archive, how) if named else None
    if found is None:
        raise AppError(
            f"{repository.app}: there is no archive {archive}",
            f"`inv borg.list --app {repository.app}` shows those there are",
        )
    return found
