"""`restore`: bring one app's data back, into a folder or in place. Nothing is overwritten; the old data is kept."""

import posixpath
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.choice import Choices
from tasks.borg.client.extract import size as measured
from tasks.borg.paths import SHOWN, some
from tasks.borg.restore import require_empty
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.fleet import restore_output
from tasks.fleet.recorder import lowered, recorded
from tasks.fleet.restore_output import OUTPUT
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.mariadb import recovery_plan
from tasks.run.outcome import Outcome, attempted, exit_code
from tasks.run.session import Session
from tasks.run.view import View
from tasks.sources.base import Destination, Part, Planned, Restorable, Step
from tasks.sources.kinds import is_of, kind_of
from tasks.sources.registry import chosen, continuing, restorable, source_of
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tasks.terminal import whole_line
from tasks.times import shown
from tasks.units import entries, size

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Options:
    """What to restore: `archive` is a name, `latest` or a moment; no `target` means in place. `to` is `local`, the name
    of an app on whose host, or None.

    `at` is a time as typed: the database is restored as of then, files from the last backup before it. `storage` is the
    copy to use; None takes the first one available, in the order of the inventory. `paths` are files, folders and
    patterns that alone come back; none: all. `part` comes back beside the live data. `dry_run` shows what would come
    back, and changes nothing.
    """

    app: str
    sources: Sequence[str] = ()
    archive: str = "latest"
    target: str | None = None
    to: str | None = None
    at: str | None = None
    storage: str | None = None
    paths: Sequence[str] = ()
    part: Part | None = None
    dry_run: bool = False
    trusted: bool = False  # restore devices and setuid bits on another machine; need no walls for a database


@dataclass(frozen=True)
class _Job:
    """The restore of one source; all that can be checked is checked before anything changes."""

    choices: Choices
    source: str
    planned: Planned
    target: str | None
    trusted: bool
    where: str

    @property
    def app(self) -> App:
        """The app."""
        return self.choices.app

    @property
    def archive(self) -> str:
        """The archive's name."""
        return self.planned.archive.name

    @property
    def known(self) -> bool:
        """Whether the archive has a record."""
        return self.planned.choice is None or self.planned.choice.known


def run(folder: str, options: Options, ask: Ask) -> int:
    """Restore, print the outcome, write records; return the exit code. `ask` must agree to replacing data in place.

    Raises UsageError, AppError, InterruptedRunError; nothing has changed then.
    """
    with Session(load(Path(folder))) as session, ExitStack() as opened:
        if options.target == OUTPUT:
            return _on_output(session, options, opened)
        jobs = _first_jobs(session, options, opened)
        app = jobs[0].app
        if options.dry_run:
            for job in jobs:
                print(_intended(job))
            return 0
        question = _question(jobs)
        if question and not ask(question):
            print("nothing was restored")
            return 0
        if options.target is not None and len(jobs) > 1:
            require_empty(jobs[0].choices.repository.host, app.name, posixpath.dirname(str(jobs[0].target)))
        with View([app]) as view:
            outcomes = [_done(job, view) for job in jobs]
            view.summary(outcomes, "restored")
        code = exit_code(outcomes)
        return code if any(outcome.failed for outcome in outcomes) else min(code, AppError.exit_code)


def _on_output(session: Session, options: Options, opened: ExitStack) -> int:
    """Write the file of one source's archive to standard output; return the exit code. Raises as `run`."""
    with redirect_stdout(sys.stderr):
        jobs = _first_jobs(session, options, opened)
        if len(jobs) > 1:
            raise UsageError(f"--target {OUTPUT} is of one source", f"name --source {jobs[0].source}")
        if options.dry_run:
            raise UsageError(f"--target {OUTPUT} has no --dry-run", "`inv report` and `inv borg.list` name archives")
    return restore_output.run(jobs[0].choices, _restorable(jobs[0].source), jobs[0].planned)


def _first_jobs(session: Session, options: Options, opened: ExitStack) -> list[_Job]:
    """Return the restores of all sources from the first copy of the app that has the requested archives."""
    copies = session.inventory.copies(options.app, options.storage)
    faults: list[CloudbackupError] = []
    for copy in copies:
        try:
            jobs = _jobs(session, copy, options, opened)
        except CloudbackupError as error:
            faults.append(error)
            continue
        for fault, other in zip(faults, copies, strict=False):
            print(f"not from {other.storage}: {fault.what}")
        if len(session.inventory.copies(options.app)) > 1:
            print(f"from {copy.storage}")
        return jobs
    raise faults[0]


def _jobs(session: Session, app: App, options: Options, opened: ExitStack) -> list[_Job]:
    _require_no_place(options)
    other = _other(session, options)
    repository = _repository(session, app, options, other, opened)
    at = recovery_plan.moment(options.at) if options.at else None
    choices = Choices(session, app, repository)
    sources = _sources(app, options, choices)
    _require_place_there(options, other, sources)
    for source in sources if options.target is None else ():
        _restorable(source).require_in_place(app)
    return [
        _Job(
            choices,
            source,
            _planned(choices, source, options, at, other),
            _target(options, source, len(sources)),
            options.trusted,
            app.host if other is None else f"{other.name}'s host, {other.host}",
        )
        for source in sources
    ]


def _require_place_there(options: Options, other: App | None, sources: Sequence[str]) -> None:
    """Raise UsageError if the other app's host cannot take these sources."""
    if other is None:
        return
    if options.part and not set(sources) <= set(other.sources):
        raise UsageError(f"{other.name} has no source {' or '.join(sources)}", "name an app with such a server: --to")
    if not options.part and not all(kind_of(source).read_by_borg for source in sources):
        raise UsageError(
            f"--to {other.name} takes files only, or a database beside those there",
            "name --source files, --database NAME, or --to local",
        )


def _other(session: Session, options: Options) -> App | None:
    """Return the app to whose host the data goes; None for the own host and this machine. Raises UsageError."""
    if options.to is None or options.to == "local":
        return None
    if options.to == options.app:
        raise UsageError(f"--to {options.to} is the app itself", "leave --to out for its own host")
    other = session.inventory.apps.get(str(options.to))
    if other is None:
        near = nearest(str(options.to), session.inventory.apps)
        raise UsageError(
            f"--to {options.to} is not known{near}", "give --to local, the name of an app, or leave it out"
        )
    return other


def _repository(session: Session, app: App, options: Options, other: App | None, opened: ExitStack) -> Repository:
    if other is not None:
        return opened.enter_context(session.on_host_of(app, other))
    if options.to != "local":
        return session.repository(app, Side.HOST)
    if options.target is None:
        raise UsageError("--to local wants --target", "name a new folder on this machine")
    return session.on_this_machine(app)


def _planned(choices: Choices, source: str, options: Options, at: datetime | None, other: App | None) -> Planned:
    archive, kind = options.archive, _restorable(source)
    if options.part:
        return kind.plan_part(choices, archive, at, replace(options.part, on=other))
    return kind.plan_paths(choices, archive, at, options.paths) if options.paths else kind.plan(choices, archive, at)


def _require_no_place(options: Options) -> None:
    """Raise UsageError if a part of a server is to go to another place than the live server."""
    if options.part and (options.target or options.to == "local" or options.paths):
        raise UsageError(
            "--table and --database restore into a live server, beside its data",
            f"leave out --target, --to local and --path; `inv mariadb.dump --app {options.app}` writes a file of it",
        )
    if options.part and options.to and (options.part.diff or options.part.missing_rows or options.part.replace):
        raise UsageError(
            f"--to {options.to} takes a copy beside the data there, and changes none of it", "leave --to out"
        )


def _sources(app: App, options: Options, choices: Choices) -> Sequence[str]:
    mine = chosen(app, (), alone=True)
    named = choices.asked(options.archive).name
    if named is not None:
        source = source_of(choices, named, options.sources)
        if logs := continuing(source):
            raise UsageError(f"{named} holds {kind_of(source).holds}", logs.restored_by(app))
        if source not in mine and options.target is None:
            raise UsageError(f"{app.name} has no `{source}` in the inventory", "give --target, a new folder")
        return [source]
    for source in options.sources:
        if not any(is_of(each, [source]) for each in mine):
            raise UsageError(f"{app.name} has no source `{source}`", f"it has {', '.join(mine)}")
    if options.part and not options.sources:
        return [source for source in mine if _restorable(source).parts] or mine
    if options.paths and not options.sources:
        return [source for source in mine if kind_of(source).read_by_borg] or mine
    return [each for each in mine if is_of(each, options.sources)]


def _restorable(source: str) -> Restorable:
    found = restorable(source)
    assert found is not None, source
    return found


def _target(options: Options, source: str, count: int) -> str | None:
    """Return the folder for one source: the target itself, or a subfolder of it if there are several sources."""
    if options.target in (None, OUTPUT):
        return options.target
    if options.to == "local":
        target = str(Path(options.target).expanduser().absolute())
    elif options.target.startswith("/"):
        target = posixpath.normpath(options.target)
    else:
        raise UsageError(f"--target {options.target} is a folder on the app's host: it must begin with /")
    return target if count == 1 else posixpath.join(target, source)


def _question(jobs: Sequence[_Job]) -> str:
    """Return what a person must agree to; empty if nothing is replaced and every archive has a record."""
    beside = jobs[0].planned.beside
    place = beside or ("in place" if jobs[0].target is None else f"in {jobs[0].target}")
    unknown = [f"No record knows {job.archive}." for job in jobs if not job.known]
    if (beside or jobs[0].target is not None) and not unknown and not jobs[0].planned.asks:
        return ""
    names = " and ".join(
        f"{job.archive}, brought to {shown(job.planned.at)}," if job.planned.at else job.archive for job in jobs
    )
    names = f"{some(jobs[0].planned.paths)} of {names}" if jobs[0].planned.paths else names
    if jobs[0].planned.asks:
        return whole_line(" ".join((*unknown, f"Put from {names} {place}, on {jobs[0].where}?")))
    kept = " What is there now is moved aside and kept." if jobs[0].target is None and not beside else ""
    return whole_line(" ".join((*unknown, f"Put {names} {place} on {jobs[0].where}?{kept}")))


def _intended(job: _Job) -> str:
    """Return what a restore would do, as a line for people. Raises UsageError for a target that holds something."""
    repository, planned = job.choices.repository, job.planned
    if job.target is not None:
        require_empty(repository.host, job.app.name, job.target)
    bytes_, number = measured(repository, job.archive, planned.paths)
    what = f"{some(planned.paths)} of {job.archive}" if planned.paths else job.archive
    when = f", brought to {shown(planned.at)}," if planned.at else ""
    in_place = planned.beside or f"in place on {job.where}, what is there now moved aside"
    where = f"to {job.target}" if job.target else in_place
    said = "".join(f"\n  {whole_line(line)}" for line in (planned.choice.said if planned.choice else ()))
    intended = f"{job.app.name} {job.source}: would restore {what}{when} {where}: {entries(number)}, {size(bytes_)}"
    return whole_line(intended) + said


def _done(job: _Job, view: View) -> Outcome:
    def step(text: str) -> None:
        view.step(job.app.name, job.source, text)

    step(f"restores {job.archive}")
    outcome = attempted(job.app.name, job.source, lambda began: _restored(job, began, step))
    outcome = recorded(job.choices.session, job.app, [outcome], "restore")[0]
    view.done(outcome)
    return outcome


def _restored(job: _Job, began: datetime, step: Step) -> Outcome:
    planned = job.planned
    done = planned.carry_out(Destination(job.target, job.trusted, began, step))
    outcome = Outcome(
        app=job.app.name,
        source=job.source,
        status=done.status,
        began=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        size=done.size,
        archive=planned.archive.name,
        archive_id=planned.archive.id,
        said=done.said,
        details={
            "target": job.target or planned.beside or "in place",
            **({} if job.where == job.app.host else {"on": job.where}),
            **({"paths": list(planned.paths[:SHOWN])} if planned.paths else {}),
            **({"at": planned.at.isoformat()} if planned.at else {}),
            "walls": list(done.walls),
        },
    )
    return lowered(outcome, planned.choice) if planned.choice else outcome
