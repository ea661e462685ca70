"""`prune`: drop archives that `keep` does not keep and free their space, for all apps, if the guard allows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tasks.borg import removal
from tasks.borg.removal import Intention, Target
from tasks.errors import CloudbackupError, UsageError
from tasks.fleet.recorder import recorded
from tasks.inventory.models import App
from tasks.json_output import written
from tasks.run import clocks
from tasks.run.notices import Gathered, Notices, Scope
from tasks.run.outcome import Outcome, exit_code, faulted
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.paused import awake
from tasks.run.retry import patient
from tasks.run.session import Session
from tasks.run.view import Telling, View, document
from tasks.sources.registry import needed, require_known
from tasks.storage.registry import load
from tasks.storage.repository import Side

WHOLE = ""  # the source of an outcome about the whole repository
Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Options:
    """What to prune: the named apps (none: all), of these the part I/N, and the named sources (none: all).

    `telling` is how much is printed: `quiet` leaves out what will be removed, except with `dry_run`.
    """

    apps: Sequence[str] = ()
    sources: Sequence[str] = ()
    part: str | None = None
    parallel: int = PARALLEL
    dry_run: bool = False
    force: bool = False
    telling: Telling = field(default_factory=Telling)


def run(folder: str, options: Options, ask: Ask, gathered: Gathered | None = None) -> int:
    """Show what will be removed, ask, prune and compact, write records; return the exit code.

    Raises UsageError, InterruptedRunError.
    """
    with Session(load(Path(folder))) as session:
        apps = _selected(session, options)
        with View(apps, options.telling) as view:
            jobs = over_apps(session, apps, options.parallel, *_planning(session, options, view))
        failed = [job.outcome for job in jobs if job.outcome is not None]
        chosen = [job for job in jobs if job.intention is not None and job.intention.needed]
        for job in () if options.telling.json else jobs:
            job.tell()
        if options.dry_run:
            if options.telling.json:
                print(written({"apps": [job.planned_values() for job in jobs]}))
            return exit_code([job.outcome or job.nothing() for job in jobs])
        count = sum(job.count for job in chosen)
        if chosen and not ask(f"Remove {count} archive{'s' if count != 1 else ''}, and free the space for good?"):
            print(_document(failed, apps) if options.telling.json else "nothing was pruned")
            return exit_code(failed)
        scope = Scope(apps, not options.apps and not options.part, lambda _: not options.sources)
        with Notices(session.inventory, "prune", "pruned", scope, gathered) as notices:
            done = _carried_out(session, chosen, failed, options) if chosen or failed else []
            outcomes = [*failed, *done, *(job.nothing() for job in jobs if not job.outcome and job not in chosen)]
            for outcome in outcomes:
                notices.app_ended(outcome.app, [outcome])
            notices.ended(outcomes)
        if options.telling.json:
            print(_document(outcomes, apps))
        return exit_code(outcomes)


def _document(outcomes: Sequence[Outcome], apps: Sequence[App]) -> str:
    return document(outcomes, {app.name: app.storage for app in apps})


def _planning(
    session: Session, options: Options, view: View
) -> tuple[Callable[[App], "_Job"], Callable[[App, CloudbackupError], "_Job"]]:
    """Return a function that plans an app's pruning, and one that makes a job of a plan with an unforeseen fault."""
    begin = partial(_Job, session, options, view)
    return lambda app: begin(app).planned(), lambda app, error: begin(app).lost(error)


def _carried_out(
    session: Session, chosen: Sequence["_Job"], failed: Sequence[Outcome], options: Options
) -> list[Outcome]:
    by_app = {(job.app.storage, job.app.name): job for job in chosen}
    apps = [job.app for job in chosen]
    with View(apps, options.telling) as view:
        done = over_apps(
            session,
            apps,
            options.parallel,
            lambda app: by_app[app.storage, app.name].carry_out(view),
            lambda app, error: faulted(app, [WHOLE], error, view.done)[0],
        )
        if not options.telling.json:
            view.summary([*failed, *done], "pruned")
    return done


def _selected(session: Session, options: Options) -> tuple[App, ...]:
    require_known(options.sources, session.inventory.apps.values())
    apps = awake(session.inventory, options.apps, options.part, quiet=options.telling.silent)
    chosen = tuple(app for app in apps if app.prunable)
    for app in apps:
        if not app.prunable and not options.telling.silent:
            print(f"{app.name} has no `keep`: nothing of it is ever pruned")
    if apps and not any(app.prunable for app in session.inventory.select(options.apps, options.part)):
        raise UsageError(
            "none of the apps has a `keep`", "say in the inventory what stays, in `defaults` or for an app"
        )
    return chosen


class _Job:
    """The pruning of one app: first the plan, then, if a person agrees, the removal."""

    def __init__(self, session: Session, options: Options, view: View, app: App) -> None:
        self.session = session
        self.app = app
        self.options = options
        self.view = view
        self.intention: Intention | None = None
        self.outcome: Outcome | None = None  # set if the plan failed or was refused
        self.clocks: tuple[str, ...] = ()  # remarks about the clocks

    @property
    def count(self) -> int:
        """The number of archives to remove."""
        return len(self.intention.removed) if self.intention else 0

    def planned(self) -> "_Job":
        """Plan the removal. Raises only InterruptedRunError."""
        self.view.step(self.app.name, WHOLE, "is looked at")
        outcome = patient(self.session, self.app, WHOLE, self._plan, self.view)
        if outcome.failed:
            self.outcome = outcome if self.options.dry_run else recorded(self.session, self.app, [outcome], "prune")[0]
            self.view.done(self.outcome)
        return self

    def lost(self, error: CloudbackupError) -> "_Job":
        """Return the job of an app whose plan had an unforeseen fault."""
        self.outcome = faulted(self.app, [WHOLE], error, self.view.done)[0]
        return self

    def tell(self) -> None:
        """Print what will be removed; if quiet, only the objections."""
        quiet = self.options.telling.quiet and not self.options.dry_run
        for line in removal.told(self.intention, quiet=quiet) if self.intention else ():
            print(line)
        nothing = self.nothing()
        if nothing.status == "warning":
            print(*nothing.said, sep="\n")

    def planned_values(self) -> dict[str, object]:
        """Return what would be removed and what stays, as JSON has it."""
        plan, outcome = self.intention, self.outcome or self.nothing()
        removed = [{"name": each.name, "id": each.id, "start": each.start} for each in plan.removed] if plan else []
        kept = len(plan.kept) if plan else None
        place = {"app": self.app.name, "storage": self.app.storage}
        return {**place, "removed": removed, "kept": kept, "status": outcome.status, "said": outcome.said}

    def nothing(self) -> Outcome:
        """Return the outcome if nothing was removed: a warning if a person used `--force` to no effect."""
        outcome = Outcome(self.app.name, WHOLE, "ok", datetime.now(UTC), 0)
        if self.intention is not None and self.intention.refused is not None:
            return Outcome.fault(self.app.name, WHOLE, outcome.began, self.intention.refused)
        if self.intention is None or not self.intention.reasons or self.intention.needed:
            return outcome
        return outcome.no_better_than("warning", removal.not_accepted(self.app))

    def carry_out(self, view: View) -> Outcome:
        """Remove and compact. Raises only InterruptedRunError."""
        view.step(self.app.name, WHOLE, "starts")
        outcome = patient(self.session, self.app, WHOLE, lambda began: self._removed(view, began), view)
        earlier = () if outcome.failed else outcome.said
        outcome = recorded(
            self.session, self.app, [replace(outcome, said=outcome.said if outcome.failed else ())], "prune"
        )[0]
        outcome = replace(outcome, said=(*earlier, *outcome.said))
        if self.clocks and not outcome.failed:
            outcome = outcome.no_better_than("warning", *self.clocks)
        view.done(outcome)
        return outcome

    def _plan(self, _: datetime) -> Outcome:
        self.clocks = clocks.compared(self.session, self.app, host=False)
        target = Target(self.session, self.app, self.session.repository(self.app, Side.OPERATOR))
        sources, force, dry = self.options.sources, self.options.force, self.options.dry_run
        self.intention = removal.intend_prune(target, sources, chain=needed, force=force, dry=dry)
        return Outcome(self.app.name, WHOLE, "ok", datetime.now(UTC), 0)

    def _removed(self, view: View, began: datetime) -> Outcome:
        assert self.intention is not None
        done = removal.carry_out(
            self.intention, compacting=True, step=lambda text: view.step(self.app.name, WHOLE, text)
        )
        forced = tuple(f"forced, although {reason.text}" for reason in self.intention.reasons)
        return replace(
            Outcome(self.app.name, WHOLE, "ok", datetime.now(UTC), 0),
            began=began,
            seconds=(datetime.now(UTC) - began).total_seconds(),
            said=(f"{len(done.removed)} removed, {done.space} freed", *forced),
            details={**done.details, "removed": [archive.name for archive in done.removed]},
        )
