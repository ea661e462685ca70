"""`check`: is each repository intact, and does it match the records? Repairs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.check import examine, refuse_damaged
from tasks.borg.client.check import CheckOptions, check_words
from tasks.borg.client.messages import Progress
from tasks.borg.client.runner import How
from tasks.borg.removal import Target
from tasks.fleet.recorder import recorded
from tasks.inventory.models import App
from tasks.run import clocks
from tasks.run.notices import Gathered, Notices, Scope
from tasks.run.outcome import Outcome, exit_code
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.paused import awake
from tasks.run.retry import patient
from tasks.run.session import Session
from tasks.run.view import Telling, View
from tasks.storage.registry import load
from tasks.storage.repository import Side

WHOLE = ""  # the source of an outcome about the whole repository
WHOLE_CHECK = CheckOptions()


@dataclass(frozen=True)
class Options:
    """What to check: the named apps (none: all), of these the part I/N, how thoroughly, and how much is printed."""

    apps: Sequence[str] = ()
    part: str | None = None
    parallel: int = PARALLEL
    depth: CheckOptions = WHOLE_CHECK
    telling: Telling = field(default_factory=Telling)


def run(folder: str, options: Options, gathered: Gathered | None = None) -> int:
    """Check, print the outcomes, write records; return the exit code. Raises UsageError, InterruptedRunError."""
    check_words(options.depth)  # refuses contradictory options before anything is contacted
    with Session(load(Path(folder))) as session:
        apps = awake(session.inventory, options.apps, options.part, quiet=options.telling.silent)
        scope = Scope(apps, not options.apps and not options.part)
        with Notices(session.inventory, "check", "whole", scope, gathered) as notices:
            with View(apps, options.telling) as view:
                work, fault = notices.each(
                    lambda app: [_checked(session, app, options, view)], lambda _: [WHOLE], view.done
                )
                worked = over_apps(session, apps, options.parallel, work, fault)
                outcomes = [outcome for each in worked for outcome in each]
                view.summary(outcomes, "whole")
            notices.ended(outcomes)
        return exit_code(outcomes)


def _checked(session: Session, app: App, options: Options, view: View) -> Outcome:
    view.step(app.name, WHOLE, "starts")

    def listen(progress: Progress) -> None:
        if progress.percent is not None:
            view.step(app.name, WHOLE, progress.text or f"{progress.percent:.0f} %")

    def examined(began: datetime) -> Outcome:
        apart = clocks.compared(session, app, host=False)
        target = Target(session, app, session.repository(app, Side.OPERATOR), How(on_progress=listen))
        done, details = examine(target, options.depth)
        refuse_damaged(app, done)
        said = tuple(details.get("doubts", ()))
        seconds = (datetime.now(UTC) - began).total_seconds()
        return Outcome(
            app.name,
            WHOLE,
            "failed" if said else "ok",
            began,
            seconds,
            said=said,
            details={**details, "depth": _depth(options.depth)},
        ).no_better_than("warning" if apart else "ok", *apart)

    outcome = patient(session, app, WHOLE, examined, view)
    outcome = recorded(session, app, [outcome], "check")[0]
    view.done(outcome)
    return outcome


def _depth(options: CheckOptions) -> str:
    return " ".join(check_words(options)[1:]) or "repository and archives"
