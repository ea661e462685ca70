"""`verify`: restore drills of all apps. An archive counts as proven only once it was read back and examined."""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

from tasks.borg.choice import Choices
from tasks.borg.client import archive_name
from tasks.borg.known import LATEST
from tasks.errors import AppError, CloudbackupError, RefusedError, UsageError
from tasks.fleet.recorder import recorded
from tasks.inventory.models import App
from tasks.options import FOLDER
from tasks.remote.host import Host
from tasks.remote.ssh import CHANNELS
from tasks.run import clocks
from tasks.run.notices import Gathered, Notices, Scope
from tasks.run.outcome import Outcome, exit_code
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.paused import awake
from tasks.run.retry import patient
from tasks.run.session import Session
from tasks.run.view import Telling, View
from tasks.sources.base import Drill
from tasks.sources.kinds import is_of
from tasks.sources.registry import chosen, require_known, restorable, source_of
from tasks.storage.registry import load
from tasks.storage.repository import Repository
from tasks.times import moment_or_none

SAMPLE = 20  # files of an archive to read by default


@dataclass(frozen=True)
class Options:
    """What to drill: the named apps (none: all), of these the part I/N, and the named sources (none: all).

    `archive` is a name, `latest` or a moment; `to` is `local`, the app whose host runs the drill, or None; `sample` is
    a number of files, None for all; `share` is the minimum part of all files to read, from 0 to 1; `folder` holds
    restored data during the drill. `telling` is how much is printed. `trust`: the contents of an archive may be
    examined without walls.
    """

    apps: Sequence[str] = ()
    sources: Sequence[str] = ()
    archive: str = "latest"
    part: str | None = None
    parallel: int = PARALLEL
    to: str | None = None
    sample: int | None = SAMPLE
    share: float = 0.0
    folder: str = FOLDER
    telling: Telling = field(default_factory=Telling)
    trust: bool = False


def sample(text: str) -> tuple[int, float]:
    """Parse `--sample`: the minimum number of files to read, and the minimum share of all files. Raises UsageError."""
    number, percent, rest = text.strip().partition("%")
    if not text:
        return SAMPLE, 0.0
    if re.fullmatch(r"[0-9]{1,9}", number) and not percent:
        return int(number), 0.0
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", number.strip()) and percent and not rest and 0 < float(number) <= 100:
        return SAMPLE, float(number) / 100
    raise UsageError(f"--sample {text} is neither a number of files nor a share of them", "give 50, or 1%")


def run(folder: str, options: Options, gathered: Gathered | None = None) -> int:
    """Drill, print the outcomes, write records; return the exit code. Raises UsageError, InterruptedRunError."""
    with Session(load(Path(folder))) as session:
        options = _checked(options, session.inventory.apps)
        elsewhere = _elsewhere(session, options.to)
        apps = _selected(session, options)
        scope = Scope(apps, not options.apps and not options.part, lambda _: not options.sources)
        with Notices(session.inventory, "verify", "proven", scope, gathered) as notices:
            with View(apps, options.telling) as view:
                chosen = partial(_sources, options=options)
                drill = partial(_drilled, session, options, view, elsewhere)
                work, fault = notices.each(drill, chosen, view.done)
                # A drill on another host uses two of the channels of one connection.
                at_once = min(options.parallel, CHANNELS // 2) if elsewhere else options.parallel
                worked = over_apps(session, apps, at_once, work, fault)
                outcomes = [outcome for each in worked for outcome in each]
                view.summary(outcomes, "proven")
            notices.ended(outcomes)
        return exit_code(outcomes)


def _drilled(session: Session, options: Options, view: View, elsewhere: Host | None, app: App) -> list[Outcome]:
    return _App(session, app, options, view, elsewhere).drill()


def _checked(options: Options, apps: Mapping[str, App]) -> Options:
    """Return the options with defaults filled in. Raises UsageError."""
    require_known(options.sources, apps.values(), alone=True)
    if options.sample is not None and options.sample < 1:
        raise UsageError(f"--sample {options.sample} reads nothing", "give a number, or --all")
    return _named(replace(options, folder=_folder(options)), apps)


def _elsewhere(session: Session, to: str | None) -> Host | None:
    """Return the host that drills for all apps; None for each app's own host. Raises UsageError."""
    if to is None or to == "local":
        return session.operator if to else None
    named = next((app for app in session.inventory.apps.values() if to in (app.name, app.host)), None)
    if named is None:
        raise UsageError(
            f"--to {to} is not known", "give --to local, the name of an app whose host is to drill, or leave it out"
        )
    return session.host(named)


def _folder(options: Options) -> str:
    if options.to == "local":
        return str(Path(options.folder).expanduser().absolute())
    if not options.folder.startswith("/"):
        raise UsageError(f"--scratch {options.folder} is a folder on the app's host: it must begin with /")
    return options.folder


def _named(options: Options, apps: Collection[str]) -> Options:
    """Return the options with app and source taken from the name of the archive. Raises UsageError."""
    if options.archive == LATEST:
        return options
    named = archive_name.parse(options.archive)
    if named is None:
        if len(options.apps) != 1 and moment_or_none(options.archive) is None:
            raise UsageError(f"the name {options.archive} does not say of which app it is", "give --app with it")
        return options
    # A renamed app has archives under its former name.
    others = len(options.apps) > 1 or (named.app in apps and set(options.apps) - {named.app})
    if others or not all(is_of(named.source, [each]) for each in options.sources):
        raise UsageError(f"{options.archive} is an archive of {named.source} of {named.app}")
    return replace(options, apps=options.apps or (named.app,), sources=(named.source,))


def _selected(session: Session, options: Options) -> tuple[App, ...]:
    apps = awake(session.inventory, options.apps, options.part, quiet=options.telling.silent)
    chosen = tuple(app for app in apps if _sources(app, options))
    every = session.inventory.select(options.apps)  # paused ones too: while they are, there is nothing to do
    if not options.part and not any(_sources(app, options) for app in every):
        raise UsageError(f"none of the apps has a source {' or '.join(options.sources) or 'that can be drilled'}")
    return chosen


def _sources(app: App, options: Options) -> list[str]:
    return chosen(app, options.sources, alone=True)


class _App:
    """The drills of one app."""

    def __init__(self, session: Session, app: App, options: Options, view: View, elsewhere: Host | None) -> None:
        self.elsewhere = elsewhere
        self.session = session
        self.app = app
        self.options = options
        self.view = view
        self._opened = ExitStack()

    @cached_property
    def repository(self) -> Repository:
        """Return the repository as borg reaches it; not from another host, which gets neither passphrase nor key."""
        return self._opened.enter_context(self.session.to_drill(self.app, here=self.elsewhere is not None))

    def drill(self) -> list[Outcome]:
        """Return one outcome per source; raises only InterruptedRunError."""
        with self._opened:
            return [self._source(source) for source in self._sources()]

    def _sources(self) -> list[str]:
        """Return the sources to drill; for an archive with a name of a person's own, judged by its contents."""
        mine, wanted = _sources(self.app, self.options), self.options.archive
        if wanted == LATEST or archive_name.parse(wanted) or len(mine) == 1:
            return mine
        try:
            named = self.choices.asked(wanted).name
            return mine if named is None else [source_of(self.choices, named, self.options.sources)]
        except CloudbackupError:
            return mine[:1]  # the drill reports what is wrong

    @cached_property
    def choices(self) -> Choices:
        """Return the archives to choose from."""
        return Choices(self.session, self.app, self.repository)

    def _source(self, source: str) -> Outcome:
        self.view.step(self.app.name, source, "starts")
        outcome = patient(self.session, self.app, source, lambda began: self._proven(source, began), self.view)
        # A mistake in the inventory, or a host that allows no walls, says nothing about a backup.
        if outcome.code not in (UsageError.exit_code, RefusedError.exit_code):
            outcome = self._recorded(outcome)
        self.view.done(outcome)
        return outcome

    def _recorded(self, outcome: Outcome) -> Outcome:
        """Write the record. Remarks about a success are not errors and stay out of it."""
        told = () if outcome.failed else outcome.said
        done = recorded(
            self.session, self.app, [replace(outcome, said=outcome.said if outcome.failed else ())], "verify"
        )
        return replace(done[0], said=(*told, *done[0].said))

    def _proven(self, source: str, began: datetime) -> Outcome:
        clocks.compared(self.session, self.app, host=False)
        try:
            choice = self.choices.choose(source, self.options.archive)
        except UsageError as error:
            if self.choices.asked(self.options.archive).before is not None:
                raise  # an app that had no archive then is not ill
            raise AppError(error.what, error.remedy) from error
        drill = Drill(
            choices=self.choices,
            choice=choice,
            began=began,
            step=lambda text: self.view.step(self.app.name, source, text),
            sample=self.options.sample,
            share=self.options.share,
            folder=self.options.folder,
            elsewhere=self.elsewhere,
            trust=self.options.trust,
        )
        drilled = restorable(source)
        assert drilled is not None, source
        outcome = patient(self.session, self.app, source, lambda _: drilled.drill(drill), self.view)
        if not choice.known:  # without the archive's id the record proves nothing
            details = {**outcome.details, "unknown_archive": choice.archive.name}
            return replace(outcome, details=details).no_better_than("warning", *choice.said)
        said = () if outcome.failed else choice.said
        return replace(outcome, archive=choice.archive.name, archive_id=choice.archive.id, said=(*outcome.said, *said))
