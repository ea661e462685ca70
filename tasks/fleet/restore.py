"""`restore`: one app's data back, into a folder or into place. Nothing is overwritten; the old data is kept."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.client.extract import content, size
from tasks.borg.client.list import Archive
from tasks.borg.known import LATEST
from tasks.borg.restore import Restored, Trust, require_empty, restore_in_place, restore_to
from tasks.borg.roots import roots
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.fleet.choice import Choice, Choices
from tasks.fleet.recorder import recorded
from tasks.inventory.models import App
from tasks.mariadb import mariadb_source, recovery_plan, unpack
from tasks.mariadb import restore as mariadb
from tasks.mariadb.host import tables
from tasks.mariadb.point_in_time import Moment, Recovered
from tasks.mariadb.restore import Wanted
from tasks.mariadb.unpack import OnLine, Unpacked
from tasks.remote.host import Host
from tasks.run.outcome import Outcome, Status, attempted, exit_code
from tasks.run.session import Session
from tasks.run.view import View
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tasks.times import shown

RESTORABLE = ("files", "mariadb")
_OK: Status = "ok"
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
    trusted: bool = False  # devices and setuid bits come to another machine; a database's archive needs no walls


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
    choice: Choice | None = None
    trusted: bool = False

    @property
    def known(self) -> bool:
        """Whether a record knows the archive."""
        return self.choice is None or self.choice.known


def run(folder: str, options: Options, ask: Ask) -> int:
    """Restore, show it, write records; return the exit code. `ask` is asked before anything in place is replaced.

    Raises UsageError, AppError, InterruptedRunError; then nothing was changed.
    """
    with Session(load(Path(folder))) as session:
        jobs = _first_jobs(session, options)
        app = jobs[0].app
        question = _question(jobs)
        if question and not ask(question):
            print("nothing was restored")
            return 0
        if options.target is not None and len(jobs) > 1:
            require_empty(jobs[0].repository.host, app.name, posixpath.dirname(str(jobs[0].target)))
        with View([app]) as view:
            outcomes = [_done(job, view) for job in jobs]
            view.summary(outcomes, "restored")
        code = exit_code(outcomes)
        return code if any(outcome.failed for outcome in outcomes) else min(code, AppError.exit_code)


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
    at = recovery_plan.moment(options.at) if options.at else None
    choices = Choices(session, app, repository)
    sources = _sources(app, options, choices)
    trusted = options.trusted
    return [
        replace(
            _job(choices, source, options.archive, at), target=_target(options, source, len(sources)), trusted=trusted
        )
        for source in sources
    ]


def _job(choices: Choices, source: str, wanted: str, at: datetime | None) -> _Job:
    session, app, repository = choices.session, choices.app, choices.repository
    if at is not None and source == "mariadb":
        to = recovery_plan.Target(at, wanted)
        planned = recovery_plan.planned(session, repository, choices.known_listing, app, to)
        return _Job(session, app, source, repository, planned.base, None, planned.moment)
    choice = choices.choose(source, wanted, at)
    return _Job(session, app, source, repository, choice.archive, None, choice=choice)


def _side(options: Options) -> Side:
    if options.to is None:
        return Side.HOST
    if options.to != "local":
        raise UsageError(f"--to {options.to} is not known", "give --to local, or leave it out for the app's own host")
    if options.target is None:
        raise UsageError("--to local wants --target", "name a new folder on this machine")
    return Side.OPERATOR


def _sources(app: App, options: Options, choices: Choices) -> Sequence[str]:
    mine = [source for source in app.sources if source in RESTORABLE]
    if options.archive != LATEST:
        source = choices.source_of(options.archive, options.sources)
        if source not in RESTORABLE:
            raise UsageError(
                f"{options.archive} holds binary logs",
                f"`inv restore --app {app.name} --at TIME` brings a database to a moment",
            )
        if source not in mine and options.target is None:
            raise UsageError(f"{app.name} has no `{source}` in the inventory", "give --target, a new folder")
        return [source]
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
    """Return what a person must agree to; empty where nothing is replaced and the archives are known."""
    app, place = jobs[0].app, "in place" if jobs[0].target is None else f"in {jobs[0].target}"
    unknown = [f"No record knows {job.archive.name}." for job in jobs if not job.known]
    if jobs[0].target is not None and not unknown:
        return ""
    names = " and ".join(
        f"{job.archive.name}, brought to {shown(job.moment.at)}," if job.moment else job.archive.name for job in jobs
    )
    kept = " What is there now is moved aside and kept." if jobs[0].target is None else ""
    return " ".join((*unknown, f"Put {names} {place} on {app.host}?{kept}"))


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
    total, said, status, walls = _files(job, began) if job.source == "files" else _database(job, listen)
    moment = {"at": job.moment.at.isoformat()} if job.moment else {}
    outcome = Outcome(
        app=job.app.name,
        source=job.source,
        status=status,
        began=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        size=total,
        archive=job.archive.name,
        archive_id=job.archive.id,
        said=said,
        details={"target": job.target or "in place", **moment, "walls": list(walls)},
    )
    return _with_choice(outcome, job.choice) if job.choice else outcome


def _with_choice(outcome: Outcome, choice: Choice) -> Outcome:
    """Return the outcome no better than the archive is."""
    status: Status = "incomplete" if choice.verdict.left_out else "warning" if choice.said else "ok"
    return outcome.no_better_than(status, *choice.said)


def _files(job: _Job, began: datetime) -> tuple[int, tuple[str, ...], Status, tuple[str, ...]]:
    own = job.repository.side is Side.HOST and job.known
    private = job.repository.side is Side.OPERATOR
    trust = Trust(trusted=own or job.trusted, private=private, partial=True, known=job.known)
    if job.target is not None:
        done = restore_to(job.repository, job.archive.name, job.target, trust=trust)
        said: tuple[str, ...] = (f"in {job.target}",)
    else:
        files = job.app.files
        assert files is not None
        paths = roots(job.repository, job.archive.name, files.paths, files.optional)
        done = restore_in_place(job.repository, job.archive.name, paths, began, trust)
        said = tuple(_kept(done))
    absent = tuple(f"the archive holds nothing of {path}: it is as it was" for path in done.absent)
    status: Status = "incomplete" if absent else "warning" if done.doubts else "ok"
    walls = ("Landlock",) if done.walled else ()
    return done.size, (*said, *absent, *done.remarks, *done.doubts), status, walls


def _kept(done: Restored) -> list[str]:
    return [f"{path} is back; what was there is in {aside}" for path, aside in done.moved.items()]


def _database(job: _Job, listen: OnLine) -> tuple[int, tuple[str, ...], Status, tuple[str, ...]]:
    host = job.repository.host
    stream = content(job.repository, job.archive.name, mariadb_source.STREAM)
    total, _ = size(job.repository, job.archive.name)
    try:
        version = mariadb_source.version(job.repository, job.archive)
        remembered = mariadb_source.remembered(job.session, job.app, job.archive)
        known = tables.parse(remembered.get(mariadb_source.TABLES))
        wanted = Wanted(stream, total, job.moment, version, known, job.trusted, remembered)
        said, unpacked = _placed(job, host, wanted, listen)
    except unpack.ContentError as error:
        raise mariadb_source.unread(job.app, error) from error
    status: Status = "incomplete" if unpacked.damaged else "ok"
    walls = () if unpacked.walls else ("without walls: --trust-archive",)
    return total, (*said, *unpacked.harm(), *walls), status, unpacked.walls


def _placed(job: _Job, host: Host, wanted: Wanted, listen: OnLine) -> tuple[tuple[str, ...], Unpacked]:
    """Unpack the server's data where the job says; return what a person should know."""
    if job.target is not None:
        unpacked, recovered = mariadb.to_directory(host, wanted, job.target, listen)
        said = f"in {job.target}, ready for a MariaDB {unpacked.version} to start on"
        return (said, *_reached(job, recovered), *unpacked.standing(), *_moved_links(unpacked.links)), unpacked
    placed = mariadb.in_place(host, mariadb_source.access(job.app), wanted, listen)
    remedy = f"make a backup now: `inv backup --app {job.app.name}` (the server's binary logs begin anew)"
    said = f"the server runs on it; what was there is in {placed.old}"
    said_of = (said, *_reached(job, placed.recovered), *placed.unpacked.standing(), *placed.remarks, remedy)
    return said_of, placed.unpacked


def _reached(job: _Job, recovered: Recovered | None) -> list[str]:
    return recovery_plan.told(recovered, job.archive.name, job.moment.at) if recovered and job.moment else []


def _moved_links(links: Sequence[str]) -> list[str]:
    return [f"{link.removesuffix('.isl')} had its file elsewhere; it is in the folder now" for link in links]
