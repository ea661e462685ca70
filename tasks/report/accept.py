"""`report.accept`: a person accepts archives despite objections, and gives a reason.

Several archives take several records. The change is announced beside each repository first, so that a run killed
between two records is reported, and the same command completes it.

A person may accept what can be judged by looking: a verdict, an archive without a record, a failed restore drill. What
is missing or was overwritten cannot be accepted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.announcement import ACCEPTANCE, announce, unended
from tasks.borg.anomalies import doubts, strangers
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive, archives
from tasks.borg.others import by_series, described, others
from tasks.errors import AppError, UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.records.ledger import ENDS, Ledger, ledger
from tasks.records.record import Record, Records, operator_name
from tasks.records.verdict import ACCEPT, DRILLS, stamp
from tasks.report.judge import Evidence, against, sound
from tasks.report.rows import Expected, expected
from tasks.report.table import INDENT, printable
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.terminal import whole_line
from tasks.units import many

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Options:
    """The app, its sources and storages (empty: all), and the reason."""

    app: str
    reason: str
    source: str = ""
    storage: str = ""


@dataclass(frozen=True)
class Accepting:
    """An archive of one copy of an app that can be accepted, the objections to it, and its failed drills by `stamp`."""

    app: App
    source: str
    archive: Archive
    against: tuple[str, ...]
    drills: tuple[str, ...] = ()

    @property
    def lines(self) -> Iterator[str]:
        """The lines shown to a person before the question."""
        yield f"{self.app.label}  {self.source}  {printable(self.archive.name)}"
        yield from (INDENT + printable(each) for each in self.against)


def run(folder: str, options: Options, ask: Ask) -> int:
    """Show what would be accepted, ask, write the records; return the exit code.

    Raises UsageError, AppError, BorgError, HostError.
    """
    require_reason(options.reason)
    with Session(load(Path(folder))) as session:
        copies = session.inventory.copies(options.app, options.storage or None)
        found = [each for app in copies for each in _found(session, app, _sources(app, options))]
        begun = {copy.storage: unended(_known(session, copy), ACCEPTANCE) for copy in copies}
        if not found:
            for copy in copies:
                _end(session, copy, begun[copy.storage])
            print(f"{options.app}: nothing to accept: nothing stands against its newest archives")
            for copy in copies:
                _tell_others(session, copy)
            return 0
        print("\n".join(whole_line(line) for each in found for line in each.lines))
        count = len(found)
        if not ask(f"Take {'this archive' if count == 1 else f'these {count} archives'} as right, for everybody?"):
            print("nothing was accepted")
            return 0
        for copy in copies if count > 1 else ():
            begun[copy.storage].append(announce(session.storage_of(copy), copy, ACCEPTANCE))
        for copy in copies:
            _accept(session, copy, [one for one in found if one.app is copy], options.reason)
            _end(session, copy, begun[copy.storage])
    return 0


def require_reason(reason: str) -> None:
    """Raise UsageError for an empty reason."""
    if not reason.strip():
        raise UsageError(
            "--reason is empty", 'say why the present state is right, such as --reason "moved to the new disk"'
        )


def _accept(session: Session, app: App, found: Sequence[Accepting], reason: str) -> None:
    for each in found:
        session.write_record(app, record_of(each, reason))
        print(f"{app.label}  {each.source}  accepted  {printable(each.archive.name)}")


def _known(session: Session, app: App) -> Ledger:
    return ledger(session.storage_of(app).read_history(app))


def _tell_others(session: Session, app: App) -> None:
    """Say which archives of other names no record tells of: they are accepted by the series of their names."""
    listing = archives(session.repository(app, Side.OPERATOR))
    new = others(app, strangers(listing.archives, _known(session, app)))
    if new:
        print(
            whole_line(f"{app.label}: no record tells of {many(len(new), 'archive')} of other names: {described(new)}")
        )
        print(whole_line(f"{INDENT}{way_on(new)}"))


def way_on(new: Sequence[Archive]) -> str:
    """Return what can be done about archives of other names: a series is never one of names of our own form."""
    foreign = [each for each in new if archive_name.parse(each.name) is None]
    if foreign:
        name = printable(next(iter(by_series(foreign))))
        return f"`--series '{name}'` accepts what another tool goes on writing"
    return "`formerly` in the app's file says what it was called before; archives of other apps are never accepted"


def _end(session: Session, app: App, begun: Sequence[str]) -> None:
    """Record that what was announced has ended; a record without an archive accepts none."""
    if begun:
        now, who = datetime.now(UTC), operator_name()
        session.write_record(app, Record(app.name, ACCEPT, now, "ok", operator=who, details={ENDS: list(begun)}))


def _sources(app: App, options: Options) -> Sequence[Expected]:
    sources = expected(app)
    names = [each.source for each in sources]
    if options.source and options.source not in names:
        raise UsageError(f"{app.name} has no source `{options.source}`{nearest(options.source, names)}")
    return [each for each in sources if options.source in ("", each.source)]


def _found(session: Session, app: App, sources: Sequence[Expected]) -> Iterator[Accepting]:
    """Yield what can be accepted of one copy of an app, from a fresh listing and fresh records."""
    now = datetime.now(UTC)
    listing = archives(session.repository(app, Side.OPERATOR))
    storage = session.storage_of(app)
    seen = storage.survey((app,))[0].records
    if isinstance(seen, AppError):
        raise seen
    records = Records.parse(seen)
    known = ledger(records)
    wrong = doubts(listing.archives, storage.state(app), known, now) if records.all else []
    evidence = Evidence(listing.archives, records, doubts=wrong, begun=known.begun)
    unknown = {archive.id for archive in strangers(listing.archives, known)} if sound(records) else set()
    for source in sources:
        for archive, why in _of_source(source, evidence, unknown, now).items():
            drills = (each for each in records.all if (each.action, each.archive_id) == ("verify", archive.id))
            failed = tuple(stamp(each) for each in drills if each.outcome == "failed")
            yield Accepting(app, source.source, archive, tuple(why), failed)


def _of_source(
    source: Expected, evidence: Evidence, unknown: set[str], now: datetime
) -> Mapping[Archive, Sequence[str]]:
    found = against(source, evidence, now)
    own = [archive for archive in evidence.archives or () if archive.id in unknown]
    for archive in own:
        if archive.name.startswith(tuple(f"{name}-{source.source}-" for name in (source.app, *source.formerly))):
            found.setdefault(archive, []).append("no record tells of it")
    return found


def record_of(each: Accepting, reason: str) -> Record:
    """Return the record that accepts an archive."""
    return Record(
        each.app.name,
        ACCEPT,
        datetime.now(UTC),
        "ok",
        each.source,
        archive=each.archive.name,
        archive_id=each.archive.id,
        operator=operator_name(),
        details={"reason": reason.strip(), "against": list(each.against), DRILLS: list(each.drills)},
    )
