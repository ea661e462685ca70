"""Which backup a private server serves, and where."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tasks.borg.choice import Choices
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.mariadb import archive_restore, mariadb_source, recovery_plan, unpack
from tasks.mariadb.archive_restore import Chosen
from tasks.mariadb.archive_server import Served
from tasks.mariadb.options import FromArchive
from tasks.options import FOLDER
from tasks.remote.host import Host
from tasks.run.session import Session
from tasks.storage.repository import Side
from tasks.times import shown

Format = TypeVar("Format", bound=str)


@dataclass(frozen=True)
class Copy:
    """What was chosen, on which host and in which folder its server is to work."""

    chosen: Chosen
    folder: str
    trust: bool

    @property
    def app(self) -> App:
        """The app."""
        return self.chosen.choices.app

    @property
    def host(self) -> Host:
        """The host on which the server runs."""
        return self.chosen.choices.repository.host

    @property
    def named(self) -> str:
        """Describe the backup."""
        at = f", brought to {shown(self.chosen.moment.at)}" if self.chosen.moment else ""
        return f"{self.chosen.archive.name}{at}"


def found(session: Session, options: FromArchive) -> Copy:
    """Return the copy to serve, from the first of the app's storages that has it. Raises UsageError, RefusedError."""
    faults: list[CloudbackupError] = []
    for app in session.inventory.copies(options.app, options.storage or None):
        try:
            copy = _of(session, app, options)
        except CloudbackupError as error:
            faults.append(error)
            continue
        for fault in faults:
            say(f"not from another storage: {fault.what}")
        return copy
    raise faults[0]


def _of(session: Session, app: App, options: FromArchive) -> Copy:
    if app.mariadb is None:
        raise UsageError(f"{app.name} has no `mariadb` in the inventory")
    folder = _folder(options)
    local = options.to == "local"
    repository = session.on_this_machine(app) if local else session.repository(app, Side.HOST)
    at = recovery_plan.moment(options.at) if options.at else None
    choices = Choices(session, app, repository)
    chosen = archive_restore.chosen(choices, options.archive, at)
    copy = Copy(chosen, folder, options.trust_archive)
    say(f"{copy.named}, on {copy.host.name}")
    for line in chosen.choice.said if chosen.choice else ():
        say(line)
    return copy


def _folder(options: FromArchive) -> str:
    if options.to not in ("local", "host"):
        raise UsageError(f"--to {options.to} is not known", "give --to local, or --to host for the app's own")
    folder = options.scratch or FOLDER
    if options.to == "local":
        return str(Path(folder).expanduser().absolute())
    if not folder.startswith("/"):
        raise UsageError(f"--scratch {folder} is a folder on the app's host: it must begin with /")
    return folder


@contextmanager
def explained(app: App) -> Iterator[None]:
    """Explain why an archive could not be read. Raises AppError."""
    try:
        yield
    except unpack.ContentError as error:
        raise mariadb_source.unread(app, error) from error


def remarks(copy: Copy, served: Served) -> int:
    """Print what a person should know of the copy that was served, on standard error.

    Returns the exit code: 3 if the archive is not good or unknown, or pages of it are damaged.
    """
    if served.recovered and copy.chosen.moment:
        for line in recovery_plan.told(served.recovered, copy.chosen.archive.name, copy.chosen.moment.at):
            say(line)
    harm = served.unpacked.harm()
    for line in (*harm, *served.remarks):
        say(line)
    doubtful = harm or (copy.chosen.choice is not None and copy.chosen.choice.said)
    return AppError.exit_code if doubtful else 0


def require_format(given: str, *known: str) -> None:
    """Raise UsageError for an unknown format."""
    if given not in known:
        raise UsageError(f"--format {given} is not known", f"it is one of {', '.join(known)}")


def say(line: str) -> None:
    """Print a line for a person, beside standard output, which has the content alone."""
    print(line, file=sys.stderr, flush=True)
