"""`restore`: one app's data back, into a folder or into place. Nothing is overwritten; the old data is kept."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg import naming
from tasks.borg.extract import content, size
from tasks.borg.list import Archive, archives, find
from tasks.borg.restore import Restored, restore_in_place, restore_to
from tasks.errors import UsageError
from tasks.fleet import database
from tasks.fleet.outcome import Outcome, attempted, exit_code
from tasks.fleet.recording import recorded
from tasks.fleet.view import View
from tasks.inventory import load
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.mariadb import restore as mariadb
from tasks.mariadb import unpack
from tasks.remote.host import Host
from tasks.remote.script import Stream
from tasks.storage.repository import Repository, Side
from tasks.storage.session import Session

RESTORABLE = ("files", "mariadb")
Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Options:
    """What to restore: `archive` is a name or `latest`; no `target` means in place; `to` is `local` or None."""

    app: str
    sources: Sequence[str] = ()
    archive: str = "latest"
    target: str | None = None
    to: str | None = None


@dataclass(frozen=True)
class _Job:
    """One source's restore, with everything checked that can be checked before anything changes."""

    session: Session
    app: App
    source: str
    repository: Repository
    archive: Archive
    target: str | None


def run(folder: str, options: Options, ask: Ask) -> int:
    """Restore, show it, write records; return the exit code. `ask` is asked before anything in place is replaced.

    Raises UsageError, AppError, InterruptedRunError; then nothing was changed.
    """
    with Session(load(Path(folder))) as session:
        app = session.inventory.app(options.app)
        jobs = _jobs(session, app, options)
        if options.target is None and not ask(_question(jobs)):
            print("nothing was restored")
            return 0
        with View([app]) as view:
            outcomes = [_done(job, view) for job in jobs]
            view.summary(outcomes, "restored")
        return exit_code(outcomes)


def _jobs(session: Session, app: App, options: Options) -> list[_Job]:
    side = _side(options)
    repository = session.repository(app, side)
    if side is Side.OPERATOR and repository.host is not session.operator:
        raise UsageError(
            f"the storage {app.storage} is a directory of {app.host}, which this machine does not reach",
            "leave --to out, or mount the directory here and set `host: local`",
        )
    listing = archives(repository)
    jobs = []
    sources = _sources(app, options)
    for source in sources:
        archive = find(listing, app.name, source, options.archive)
        if archive is None:
            known = [each.name for each in listing.archives]
            what = f"{app.name} has no archive {options.archive}{nearest(options.archive, known)}"
            if options.archive == "latest":
                what = f"{app.name} has no archive of {source} yet"
            raise UsageError(what, f"`inv borg.list --app {app.name}` shows them")
        jobs.append(_Job(session, app, source, repository, archive, _target(options, source, len(sources))))
    return jobs


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
    names = " and ".join(job.archive.name for job in jobs)
    return f"Put {names} in place on {app.host}? What is there now is moved aside and kept."


def _done(job: _Job, view: View) -> Outcome:
    view.step(job.app.name, job.source, f"restores {job.archive.name}")
    outcome = attempted(job.app.name, job.source, lambda began: _restored(job, began))
    outcome = recorded(job.session, job.app, [outcome], "restore")[0]
    view.done(outcome)
    return outcome


def _restored(job: _Job, began: datetime) -> Outcome:
    total, said = _files(job, began) if job.source == "files" else _database(job)
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
        details={"target": job.target or "in place"},
    )


def _files(job: _Job, began: datetime) -> tuple[int, tuple[str, ...]]:
    if job.target is not None:
        done = restore_to(job.repository, job.archive.name, job.target)
        return done.size, (f"in {job.target}", *done.warnings)
    assert job.app.files is not None
    done = restore_in_place(job.repository, job.archive.name, job.app.files.paths, began)
    return done.size, (*_kept(done), *done.warnings)


def _kept(done: Restored) -> list[str]:
    return [f"{path} is back; what was there is in {aside}" for path, aside in done.moved.items()]


def _database(job: _Job) -> tuple[int, tuple[str, ...]]:
    host = job.repository.host
    stream = content(job.repository, job.archive.name, database.STREAM)
    total, _ = size(job.repository, job.archive.name)
    try:
        return total, _placed(job, host, stream, total)
    except unpack.ContentError as error:
        raise database.unread(job.app, error) from error


def _placed(job: _Job, host: Host, stream: Stream, total: int) -> tuple[str, ...]:
    """Unpack the server's data where the job says; return what a person should know."""
    if job.target is not None:
        unpacked = unpack.to_directory(host, stream, job.target, total)
        said = f"in {job.target}, ready for a MariaDB {unpacked.version} to start on"
        return (said, *_moved_links(unpacked.links))
    placed = mariadb.in_place(host, database.access(job.app), stream, total)
    remedy = f"make a backup now: `inv backup --app {job.app.name}` (the server's binary logs begin anew)"
    return (f"the server runs on it; what was there is in {placed.old}", *placed.remarks, remedy)


def _moved_links(links: Sequence[str]) -> list[str]:
    return [f"{link.removesuffix('.isl')} had its file elsewhere; it is in the folder now" for link in links]
