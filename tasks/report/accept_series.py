"""`report.accept --series`: a person accepts that another tool goes on making archives of some names, with a reason.

These raise no alarm and do not keep `prune` from its work. They stay unknown all the same: never `latest`, never good,
never pruned. A name of our own form is never covered, whatever the pattern.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from tasks.borg.anomalies import unrecorded
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive, archives
from tasks.borg.others import described, others
from tasks.errors import UsageError
from tasks.inventory.models import App
from tasks.records.ledger import SERIES, WITHDRAWN, ledger
from tasks.records.record import Record, operator_name
from tasks.records.verdict import ACCEPT
from tasks.report.accept import require_reason
from tasks.report.table import printable
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.terminal import whole_line

WILD = "*?["
LONGEST = 200  # characters of a pattern


@dataclass(frozen=True)
class Options:
    """The app, the reason, the names as a pattern with wildcards, and the storage (empty: all)."""

    app: str
    reason: str
    series: str
    storage: str = ""
    withdraw: bool = False


@dataclass(frozen=True)
class _Found:
    """One copy of an app: the archives that the pattern covers and no record tells of; what is accepted already."""

    app: App
    covered: Sequence[Archive]
    accepted: Sequence[str]


def run(folder: str, options: Options, ask: Callable[[str], bool]) -> int:
    """Show which archives are meant, ask, write a record for each storage; return the exit code.

    Raises UsageError, AppError, BorgError, HostError.
    """
    require_reason(options.reason)
    _require_pattern(options.series)
    with Session(load(Path(folder))) as session:
        found = [
            _found(session, copy, options) for copy in session.inventory.copies(options.app, options.storage or None)
        ]
        todo = [each for each in found if (options.series in each.accepted) == options.withdraw]
        if not todo:
            state = "not accepted" if options.withdraw else "accepted already"
            print(whole_line(f"{options.app}: {printable(options.series)} is {state}"))
            return 0
        if not options.withdraw and not any(each.covered for each in todo):
            raise UsageError(
                f"{options.app}: there is no archive of such a name that no record tells of",
                f"`inv borg.list --app {options.app}` shows their names; a pattern is written as 'web1-*'; names of "
                "the form APP-SOURCE-TIME are never covered (`formerly` in the app's file says what it was called)",
            )
        for each in todo:
            print(whole_line(f"{each.app.label}  {printable(described(each.covered) or options.series)}"))
        if not ask(_question(options)):
            print("nothing was changed")
            return 0
        for each in todo:
            session.write_record(each.app, _record(each, options))
            done = "withdrawn" if options.withdraw else "accepted"
            print(whole_line(f"{each.app.label}  {done}  {printable(options.series)}"))
    return 0


def _require_pattern(pattern: str) -> None:
    if not pattern or pattern[0] in WILD or len(pattern) > LONGEST or not pattern.isprintable():
        raise UsageError(
            "--series must begin with what the names have in common",
            "such as --series 'web1-*': a pattern of anything would accept what an intruder writes",
        )


def _question(options: Options) -> str:
    if options.withdraw:
        return "Accept archives of these names no more?"
    return "Accept that another tool makes archives of these names, for everybody and from now on?"


def _found(session: Session, app: App, options: Options) -> _Found:
    listing = archives(session.repository(app, Side.OPERATOR))
    known = ledger(session.storage_of(app).read_history(app))
    return _Found(app, covered(app, unrecorded(listing.archives, known), options.series), known.series)


def covered(app: App, new: Sequence[Archive], pattern: str) -> list[Archive]:
    """Return those of the new archives that a pattern covers: none with a name of our own form."""
    foreign = (each for each in others(app, new) if archive_name.parse(each.name) is None)
    return [each for each in foreign if fnmatchcase(each.name, pattern)]


def _record(each: _Found, options: Options) -> Record:
    key = WITHDRAWN if options.withdraw else SERIES
    names = [archive.name for archive in each.covered]
    details = {"reason": options.reason.strip(), key: [options.series], "against": names}
    return Record(each.app.name, ACCEPT, datetime.now(UTC), "ok", operator=operator_name(), details=details)
