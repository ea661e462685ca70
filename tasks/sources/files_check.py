"""What `app.check` and `app.add` report about an app's files before a backup: what it would leave out."""

from collections.abc import Iterator

from tasks.borg.client.create import files_of
from tasks.borg.paths import SECONDS, Walked, some, walked
from tasks.inventory.models import App, Files
from tasks.run.session import Session
from tasks.sources import database_files
from tasks.sources.base import Finding
from tasks.units import many, size

MISSING = "correct `files.paths`, or name it under `files.optional` if it may be absent"
MOUNT = "`mounts: cross` saves it too; `mounts: leave`, or a pattern under `exclude`, leaves it out"
NOTHING = "mount or fill it, mend `files.exclude`, or name it under `files.optional` if it may be empty"
IDLE = "a pattern is compared with whole paths, blanks too: begin it with / or with */"
WITHOUT = "it is below none of `files.paths`, or patterns leave it out: correct them, or take it out of `files.verify`"
UNREADABLE = "correct the file on the host: until then no backup is made"
RIGHTS = (
    "let it be read by root, with `become: sudo` in the app's file, or give the login the right, or name it under"
    " `files.exclude`"
)


def findings(session: Session, app: App) -> Iterator[Finding]:
    """Examine the paths on the host as the user that reads them, opening every file until a time limit.

    Yield level, text and remedy; `error` marks what would make the next backup incomplete, suspect or failed. Raises
    AppError, and what `Host.run` raises.
    """
    assert app.files is not None
    found = walked(session.host(app), files_of(app, "check").plan)
    if found.fault:
        own = found.fault.startswith("files.")  # of the inventory; files on the host are named by their paths
        yield "error", found.fault if own else f"`files.patterns_from`: {found.fault}", UNREADABLE
        return
    yield from _left_out(found)
    yield from _unread(found)
    yield from _less(app.files, found)
    yield from _patterns(found)
    yield from database_files.findings(app, found)
    left_out = dict(found.left_out)
    for path, place in found.links:
        if path not in left_out:
            yield "ok", f"{path} is a link: {place}, where it leads, is saved as well", ""
    if found.left:
        yield "ok", f"not saved, as `mounts` says: {some(found.left)}", ""
    yield from (("ok", path, "") for path in app.files.paths if path not in left_out)


def _left_out(found: Walked) -> Iterator[Finding]:
    for path, reason in found.left_out:
        yield "error", f"{path} {reason}", _remedy(reason)
    if found.count > len(found.left_out):
        yield "error", f"{found.count - len(found.left_out):,} more are left out", ""


def _patterns(found: Walked) -> Iterator[Finding]:
    for where, pattern in found.idle:
        place = f"in {where}" if where.startswith("/") else f"under `{where}`"
        yield "warning", f"the pattern {pattern} {place} can match nothing", IDLE
    for path in found.without:
        yield "error", f"{path}: `files.verify` asks for it, and an archive does not hold it", WITHOUT


def _remedy(reason: str) -> str:
    remedies = {
        "is not there": MISSING,
        "is not mounted": "mount it, or take it out of `files.expect.mounted`",
        "is a link": "mend the link, or correct `files.paths`",
        "is a file system": MOUNT,
        "cannot be read": RIGHTS,
    }
    return next((remedy for start, remedy in remedies.items() if reason.startswith(start)), NOTHING)


def _unread(found: Walked) -> Iterator[Finding]:
    if found.unread_count:
        named = [f"{path} {reason}" for path, reason in found.unread]
        what = "1 file or folder" if found.unread_count == 1 else f"{found.unread_count:,} files or folders"
        yield "error", f"{what} cannot be read: {some(named)}", RIGHTS
    if found.files is None:
        yield "ok", f"looked at for {SECONDS} seconds, not at all of it", ""
    elif found.size is not None:
        yield "ok", f"{many(found.files, 'file')}, {size(found.size)}", ""


def _less(files: Files, found: Walked) -> Iterator[Finding]:
    expect, remedy = files.expect, "is all of it there? if so, correct `files.expect`"
    if expect.min_files is not None and found.files is not None and found.files < expect.min_files:
        what = f"{many(found.files, 'file')}, fewer than the {expect.min_files:,} of `files.expect`"
        yield "error", what, remedy
    if expect.min_size is not None and found.size is not None and found.size < expect.min_size:
        what = f"{size(found.size)}, less than the {size(expect.min_size)} of `files.expect`"
        yield "error", what, remedy
