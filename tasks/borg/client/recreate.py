"""`borg recreate --comment`: the verdict on an archive, in the archive's own comment.

borg sets the comment when a backup begins, but the verdict is only known at its end: an unreadable file is found during
the run, an archive unlike its predecessors after it. A second archive with the verdict would count in `keep`, and
archive names have a fixed form. So the archive is recreated from its own list of chunks with a longer comment: no file
is read and no chunk sent, name and times stay, and it takes 3 seconds for 100,000 files (1.2.4, 1.4.5). The id changes,
and the record must hold the new one.

A host's append-only key can do this. borg replaces the old archive by the new one in a single commit: if anything dies
before, the old one is left, announced (`tasks/borg/create.py`), without the comment.
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
    """Return borg's arguments for another comment; the archive's contents do not change."""
    return ("recreate", f"--comment={literal(comment)}", f"::{archive}")


def annotate(repository: Repository, archive: str, verdict: Verdict, how: How = PLAIN) -> str:
    """Add the verdict to an archive's comment, replacing an earlier one; return the archive's id from then on.

    A verdict of ok removes an earlier one. If nothing would change, nothing is done. Use the host's or the operator's
    side. Raises AppError if there is no such archive, BorgError, and what `Host.run` raises.
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
    """Return a text as one line that every terminal can display and borg can store."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _found(repository: Repository, archive: str, how: How) -> Archive:
    named = parse(archive)
    found = look_up(repository, (named.app,), named.source, archive, how) if named else None
    if found is None:
        raise AppError(
            f"{repository.app}: there is no archive {archive}",
            f"`inv borg.list --app {repository.app}` shows those there are",
        )
    return found
