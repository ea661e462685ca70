"""`backup`: every source of every app, each tried whatever became of the others."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.borg.messages import Progress
from tasks.errors import CloudbackupError, InterruptedRunError, UsageError
from tasks.fleet import sources
from tasks.fleet.hooks import around
from tasks.fleet.notifying import Notices, Scope
from tasks.fleet.outcome import Outcome, attempted, exit_code
from tasks.fleet.recording import confirmed, recorded
from tasks.fleet.view import View
from tasks.human import size
from tasks.inventory import load
from tasks.inventory.models import App
from tasks.storage.loop import PARALLEL, over_apps
from tasks.storage.session import Session


@dataclass(frozen=True)
class Options:
    """What to back up: the named apps (none means all), of these the part I/N, and the named sources (none: all)."""

    apps: Sequence[str] = ()
    sources: Sequence[str] = ()
    part: str | None = None
    parallel: int = PARALLEL


def run(folder: str, options: Options) -> int:
    """Back up, show it, write records; return the exit code. Raises UsageError, InterruptedRunError."""
    with Session(load(Path(folder))) as session:
        apps = _selected(session, options)
        scope = Scope(apps, not options.apps and not options.part, lambda app: _whole(app, options))
        with Notices(session.inventory, "backup", "saved", scope) as notices:
            with View(apps) as view:
                work = notices.each(lambda app: _App(session, app, options, view).save())
                worked = over_apps(session, apps, options.parallel, work)
                outcomes = [outcome for each in worked for outcome in each]
                view.summary(outcomes, "saved")
            notices.ended(outcomes)
        return exit_code(outcomes)


def show(folder: str, options: Options) -> None:
    """Print what a backup would run, secrets hidden. Asks the hosts, changes nothing. Raises CloudbackupError."""
    with Session(load(Path(folder))) as session:
        for app in _selected(session, options):
            alone = _sources(app, options) == ["binlog"]
            for words, when in () if alone else ((app.before, "before"), (app.after, "after")):
                for command in words:
                    print(f"# {app.name} on {app.host}, {when} the backup\n{' '.join(command)}\n")
            for source in _sources(app, options):
                script = sources.script(session, app, source, datetime.now(UTC))
                print(f"# {app.name} {source} on {app.host}\n{script.shown() if script else '# nothing new'}\n")


def _selected(session: Session, options: Options) -> tuple[App, ...]:
    for source in options.sources:
        if source not in sources.ALL:
            raise UsageError(f"there is no source `{source}`", f"a source is one of {', '.join(sources.ALL)}")
    apps = session.inventory.select(options.apps, options.part)
    chosen = tuple(app for app in apps if _sources(app, options))
    if not chosen:
        raise UsageError(f"none of the apps has a source {' or '.join(options.sources)}")
    return chosen


def _sources(app: App, options: Options) -> list[str]:
    return [source for source in app.sources if source in (options.sources or sources.ALL)]


def _whole(app: App, options: Options) -> bool:
    return _sources(app, options) == _sources(app, Options())


class _App:
    """The backup of one app."""

    def __init__(self, session: Session, app: App, options: Options, view: View) -> None:
        self.session = session
        self.app = app
        self.view = view
        self.sources = _sources(app, options)
        self.tried: list[Outcome] = []

    def save(self) -> list[Outcome]:
        """Return an outcome for each source; no fault is raised but an interruption."""
        began = datetime.now(UTC)
        try:
            with self._around():
                for source in self.sources:
                    self._ended(self._source(source))
        except InterruptedRunError:
            raise
        except CloudbackupError as error:
            self._lost(error, began)
        return self.tried

    def _around(self) -> AbstractContextManager[None]:
        """Return what runs `before` and `after`. Not for binary logs alone: nobody stops an app every five minutes."""
        return nullcontext() if self.sources == ["binlog"] else around(self.app, self.session.host(self.app))

    def _source(self, source: str) -> Outcome:
        self.view.step(self.app.name, source, "starts")
        outcome = attempted(self.app.name, source, lambda began: self._saved(source, began))
        self.view.step(self.app.name, source, "failed" if outcome.failed else "saved, to be listed")
        return outcome

    def _ended(self, outcome: Outcome) -> None:
        """Record it at once: until then the archive is one that nobody knows, and another operator refuses to prune."""
        outcome = recorded(self.session, self.app, confirmed(self.session, self.app, [outcome]))[0]
        self.tried.append(outcome)
        self.view.done(outcome)

    def _saved(self, source: str, began: datetime) -> Outcome:
        return sources.save(self.session, self.app, source, began, self._listener(source))

    def _listener(self, source: str) -> "sources.OnProgress":
        def listen(progress: Progress) -> None:
            self.view.step(self.app.name, source, f"{size(progress.size)} read, {size(progress.stored)} new")

        return listen

    def _lost(self, error: CloudbackupError, began: datetime) -> None:
        """Note a fault around the sources: before them, none was saved; after them, it stands on a line of its own."""
        missing = self.sources[len(self.tried) :]
        for source in missing or ["after"]:
            self._ended(Outcome.fault(self.app.name, source, began, error))
