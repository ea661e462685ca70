"""`backup`: every source of every app; a failure of one does not stop the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tasks.borg.paths import some
from tasks.errors import UsageError
from tasks.fleet.app_backup import AppBackup
from tasks.inventory.models import App
from tasks.run.notices import Gathered, Notices, Scope
from tasks.run.outcome import exit_code
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.paused import awake
from tasks.run.session import Session
from tasks.run.view import Telling, View
from tasks.sources import save
from tasks.sources.kinds import logs_alone
from tasks.sources.registry import chosen as chosen_sources
from tasks.sources.registry import require_known
from tasks.storage.registry import load
from tasks.terminal import whole_line


@dataclass(frozen=True)
class Options:
    """What to back up: the named apps (none: all), of these the part I/N, and the named sources (none: all).

    `telling` is how much is printed during the run.
    """

    apps: Sequence[str] = ()
    sources: Sequence[str] = ()
    part: str | None = None
    parallel: int = PARALLEL
    telling: Telling = field(default_factory=Telling)


def run(folder: str, options: Options, gathered: Gathered | None = None) -> int:
    """Back up, print the outcomes, write records; return the exit code. Raises UsageError, InterruptedRunError."""
    with Session(load(Path(folder))) as session:
        apps = _selected(session, options)
        scope = Scope(apps, not options.apps and not options.part, lambda app: _whole(app, options))
        with Notices(session.inventory, "backup", "saved", scope, gathered) as notices:
            with View(apps, options.telling) as view:
                chosen = partial(_sources, options=options)
                each = notices.each(lambda app: AppBackup(session, app, chosen(app), view).save(), chosen, view.done)
                worked = over_apps(session, apps, options.parallel, *each)
                outcomes = [outcome for ended in worked for outcome in ended]
                view.summary(outcomes, "saved")
            notices.ended(outcomes)
        return exit_code(outcomes)


def show(folder: str, options: Options) -> None:
    """Print what a backup would save; with `verbose` also what would run, secrets hidden.

    Queries the hosts, changes nothing. Raises CloudbackupError.
    """
    with Session(load(Path(folder))) as session:
        for app in _selected(session, options):
            sources = _sources(app, options)
            hooks = () if logs_alone(sources) else ((app.before, "before"), (app.after, "after"))
            for words, when in hooks:
                for command in words:
                    print(whole_line(f"{app.label}: {when} the backup, on {app.host}: {' '.join(command)}"))
            for source in sources:
                planned = save.plan(session, app, source, datetime.now(UTC))
                print(whole_line(f"{app.label} {source}: {_told(app, planned)}"))
                if planned is not None and options.telling.verbose:
                    print(f"{planned.script.shown()}\n")


def _told(app: App, planned: save.Planned | None) -> str:
    if planned is None:
        return "nothing new to save"
    what = f"{some(planned.paths)} of {app.host}" if planned.paths else f"it is read on {app.host}"
    return f"would save {planned.archive} to {app.storage}: {what}"


def _selected(session: Session, options: Options) -> tuple[App, ...]:
    require_known(options.sources, session.inventory.apps.values())
    apps = awake(session.inventory, options.apps, options.part, quiet=options.telling.silent)
    chosen = tuple(app for app in apps if _sources(app, options))
    every = session.inventory.select(options.apps)  # paused ones too: while they are, there is nothing to do
    if not options.part and not any(_sources(app, options) for app in every):
        raise UsageError(f"none of the apps has a source {' or '.join(options.sources)}")
    return chosen


def _sources(app: App, options: Options) -> list[str]:
    return chosen_sources(app, options.sources)


def _whole(app: App, options: Options) -> bool:
    return _sources(app, options) == _sources(app, Options())
