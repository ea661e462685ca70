"""`restore`: one app's data back, into a folder or into place. Nothing is overwritten; the old data is kept."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from tasks.borg import naming
from tasks.borg.extract import content, size
from tasks.borg.list import Archive, Listing, archives, look_up
from tasks.borg.restore import FOREIGN, OWN, Restored, restore_in_place, restore_to
from tasks.errors import CloudbackupError, UsageError
from tasks.fleet import database, recovering
from tasks.fleet.outcome import Outcome, attempted, exit_code
from tasks.fleet.recording import recorded
from tasks.fleet.view import View
from tasks.inventory import load
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.mariadb import restore as mariadb
from tasks.mariadb import unpack
from tasks.mariadb.recover import Moment, Recovered
from tasks.mariadb.restore import Wanted
from tasks.mariadb.unpack import OnLine
from tasks.remote.host import Host
from tasks.storage.repository import Repository, Side
from tasks.storage.session import Session

RESTORABLE = ("files", "mariadb")
PROGRESS = "replay: "  # how lines begin that tell how far the replay of binary logs is
Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Options:
    """What to restore: `archive` is a name or `latest`; no `target` means in place; `to` is `local` or None.

    `at` is a moment as a person writes it: the database as it was then, the files as saved last before it. `storage` is
    the copy to take; None means the first, in the order of the inventory, that can be had.
    """

    app: str
    sources: Sequence[str] = ()
    archive: str = "latest"
    target: str | None = None
    to: str | None = None
    at: str | None = None
    storage: str | None = None


@dataclass(frozen=True)
class _Job:
    """One source's restore, with everything checked that can be checked before anything changes."""

    session: Session
    app: App
    source: str
    repository: Repository
    archive: Archive
    target: str | None
    moment: Moment | None = None


def run(folder: str, options: Options, ask: Ask) -> int:
    """Restore, show it, write records; return the exit code. `ask` is asked before anything in place is replaced.

    Raises UsageError, AppError, InterruptedRunError; then nothing was changed.
    """
    with Session(load(Path(folder))) as session:
        jobs = _first_jobs(session, options)
        app = jobs[0].app
        if options.target is None and not ask(_question(jobs)):
            print("nothing was restored")
            return 0
        with View([app]) as view:
            outcomes = [_done(job, view) for job in jobs]
            view.summary(outcomes, "restored")
        return exit_code(outcomes)


def _first_jobs(session: Session, options: Options) -> list[_Job]:
    """Return the restores of all sources from the first copy of the app that has what is wanted."""
    copies = session.inventory.copies(options.app, options.storage)
    faults: list[CloudbackupError] = []
    for copy in copies:
        try:
            jobs = _jobs(session, copy, options)
        except CloudbackupError as error:
            faults.append(error)
            continue
        for fault, other in zip(faults, copies, strict=False):
            print(f"not from {other.storage}: {fault.what}")
        if len(session.inventory.copies(options.app)) > 1:
            print(f"from {copy.storage}")
        return jobs
    raise faults[0]


def _jobs(session: Session, app: App, options: Options) -> list[_Job]:
    side = _side(options)
    repository = session.on_this_machine(app) if side is Side.OPERATOR else session.repository(app, side)
    at = recovering.moment(options.at) if options.at else None
    begun = _Begun(session, app, repository, at)
    sources = _sources(app, options)
    return [_job(begun, source, options.archive, _target(options, source, len(sources))) for source in sources]


@dataclass(frozen=True)
class _Begun:
    """What the restores of all sources stand on."""

    session: Session
    app: App
    repository: Repository
    at: datetime | None

    @cached_property
    def listing(self) -> Listing:
        """All archives; most restores want one alone, which borg finds as quickly and tells the comment of."""
        return archives(self.repository)


def _job(begun: _Begun, source: str, wanted: str, target: str | None) -> _Job:
    app, at = begun.app, begun.at
    if at is not None and source == "mariadb":
        to = recovering.Target(at, wanted)
        planned = recovering.planned(begun.session, begun.repository, begun.listing, app, to)
        return _Job(begun.session, app, source, begun.repository, planned.base, target, planned.moment)
    if at is not None and wanted == "latest":
        archive = recovering.newest_before(begun.listing, app, source, at)
    else:
        archive = look_up(begun.repository, app.name, source, wanted)
    if archive is None:
        names = [each.name for each in begun.listing.archives]
        what = f"{app.name} has no archive {wanted}{nearest(wanted, names)}"
        if wanted == "latest":
            what = f"{app.name} has no archive of {source} yet" + (f" at {recovering.shown(at)}" if at else "")
        raise UsageError(what, f"`inv borg.list --app {app.name}` shows them")
    return _Job(begun.session, app, source, begun.repository, archive, target)


def _side(options: Options) -> Side:
    if options.to is None:
        return Side.HOST
    if options.to != "local":
        raise UsageError(f"--to {options.to} is not known", "give --to local, or leave it out for the app's own host")
    if options.target is None:
        raise UsageError("--to local wants --target", "name a new folder on this machine")
    return Side.OPERATOR


def _sources(app: App, options: Options) -> Sequence[str]:
    mine = [source for source in app.sources if source in RESTORABLE]
    named = naming.parse(options.archive)
    if named is not None:
        if options.sources and set(options.sources) != {named.source}:
            raise UsageError(f"{options.archive} is an archive of {named.source}, not of {', '.join(options.sources)}")
        return [named.source]
    for source in options.sources:
        if source not in mine:
            raise UsageError(f"{app.name} has no source `{source}`", f"it has {', '.join(mine)}")
    return options.sources or mine


def _target(options: Options, source: str, count: int) -> str | None:
    """Return the folder for one source: the target itself, or one in it for each of several sources."""
    if options.target is None:
        return None
    if options.to == "local":
        target = str(Path(options.target).expanduser().absolute())
    elif options.target.startswith("/"):
        target = posixpath.normpath(options.target)
    else:
        raise UsageError(f"--target {options.target} is a folder on the app's host: it must begin with /")
    return target if count == 1 else posixpath.join(target, source)


def _question(jobs: Sequence[_Job]) -> str:
    app = jobs[0].app
    names = " and ".join(
        f"{job.archive.name}, brought to {recovering.shown(job.moment.at)}," if job.moment else job.archive.name
        for job in jobs
    )
    return f"Put {names} in place on {app.host}? What is there now is moved aside and kept."


def _done(job: _Job, view: View) -> Outcome:
    view.step(job.app.name, job.source, f"restores {job.archive.name}")

    def listen(line: str) -> None:
        if line.startswith(PROGRESS):
            view.step(job.app.name, job.source, line.removeprefix(PROGRESS))

    outcome = attempted(job.app.name, job.source, lambda began: _restored(job, began, listen))
    outcome = recorded(job.session, job.app, [outcome], "restore")[0]
    view.done(outcome)
    return outcome


def _restored(job: _Job, began: datetime, listen: OnLine) -> Outcome:
    total, said = _files(job, began) if job.source == "files" else _database(job, listen)
    moment = {"at": job.moment.at.isoformat()} if job.moment else {}
    return Outcome(
        app=job.app.name,
        source=job.source,
        status="ok",
        began=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        size=total,
        archive=job.archive.name,
        archive_id=job.archive.id,
        said=said,
        details={"target": job.target or "in place", **moment},
    )


def _files(job: _Job, began: datetime) -> tuple[int, tuple[str, ...]]:
    if job.target is not None:
        trust = FOREIGN if job.repository.side is Side.OPERATOR else OWN
        done = restore_to(job.repository, job.archive.name, job.target, trust=trust)
        return done.size, (f"in {job.target}", *done.remarks, *done.doubts)
    assert job.app.files is not None
    done = restore_in_place(job.repository, job.archive.name, job.app.files.paths, began)
    return done.size, (*_kept(done), *done.remarks, *done.doubts)


def _kept(done: Restored) -> list[str]:
    return [f"{path} is back; what was there is in {aside}" for path, aside in done.moved.items()]


def _database(job: _Job, listen: OnLine) -> tuple[int, tuple[str, ...]]:
    host = job.repository.host
    stream = content(job.repository, job.archive.name, database.STREAM)
    total, _ = size(job.repository, job.archive.name)
    try:
        version = database.version(job.repository, job.archive)
        return total, _placed(job, host, Wanted(stream, total, job.moment, version), listen)
    except unpack.ContentError as error:
        raise database.unread(job.app, error) from error


def _placed(job: _Job, host: Host, wanted: Wanted, listen: OnLine) -> tuple[str, ...]:
    """Unpack the server's data where the job says; return what a person should know."""
    if job.target is not None:
        unpacked, recovered = mariadb.to_directory(host, wanted, job.target, listen)
        said = f"in {job.target}, ready for a MariaDB {unpacked.version} to start on"
        return (said, *_reached(job, recovered), *unpacked.standing(), *_moved_links(unpacked.links))
    placed = mariadb.in_place(host, database.access(job.app), wanted, listen)
    remedy = f"make a backup now: `inv backup --app {job.app.name}` (the server's binary logs begin anew)"
    said = f"the server runs on it; what was there is in {placed.old}"
    return (said, *_reached(job, placed.recovered), *placed.unpacked.standing(), *placed.remarks, remedy)


def _reached(job: _Job, recovered: Recovered | None) -> list[str]:
    return recovering.told(recovered, job.archive.name, job.moment.at) if recovered and job.moment else []


def _moved_links(links: Sequence[str]) -> list[str]:
    return [f"{link.removesuffix('.isl')} had its file elsewhere; it is in the folder now" for link in links]
