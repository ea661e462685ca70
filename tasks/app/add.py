"""`app.add`: takes a host with data to an app with a proven backup. Each step runs only if it is still missing.

The app's file is written first: from then on the report and `app.check` show what is missing, and the same command, run
again wherever it was killed, completes it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import tasks.fleet.backup as fleet_backup
import tasks.fleet.verify as fleet_verify
import tasks.storagebox.setup as storagebox_setup
from tasks.app import adopted, sudo
from tasks.app.check_result import Check
from tasks.app.checks import host_checks, way_to_storage
from tasks.app.containers import in_containers
from tasks.app.new_app import NewApp, refuse_contradiction, text
from tasks.app.prompts import completed
from tasks.borg import new_passphrase
from tasks.borg.apps import Opened
from tasks.borg.client.list import archives
from tasks.borg.others import held
from tasks.borg.verbs import take_into_use
from tasks.errors import AppError, CloudbackupError, InterruptedRunError, RefusedError
from tasks.files import write_whole
from tasks.inventory.inventory import Inventory
from tasks.inventory.loading import MAIN, draft
from tasks.inventory.models import App
from tasks.remote.ssh import UnknownHostKeyError, fingerprint, shown_host_key
from tasks.report import formats
from tasks.report.formats import Look
from tasks.report.gather import gather
from tasks.report.rows import Report, Row
from tasks.run.session import Session, target
from tasks.sources import database_files
from tasks.sources.kinds import READ_BY_BORG
from tasks.sources.registry import restorable
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.install import Ask, refuse_to_replace

Trusts = Callable[[str, str], bool]
Say = Callable[[str], None]


def run(folder: str, new: NewApp, trusts: Trusts, say: Say, agrees: Ask = refuse_to_replace) -> None:
    """Add an app, or complete an existing one.

    `trusts(host, fingerprint)` returns whether a host key is the right one, `agrees` whether the access of the app's
    key to another repository may be replaced. Raises UsageError if nothing was done, otherwise CloudbackupError, which
    says what was done before.
    """
    place = Path(folder)
    if (place / MAIN).exists():
        (place / "apps").mkdir(exist_ok=True)
    inventory = load(place)
    new = completed(new, inventory.apps, inventory.storages, inventory.defaults.storage)
    _Adding(place, new, (trusts, agrees), say).run()


class _Adding:
    """The steps, in an order in which nothing is made before what it needs is known to exist."""

    def __init__(self, folder: Path, new: NewApp, answers: tuple[Trusts, Ask], say: Say) -> None:
        self.folder = folder
        self.new = new
        self.trusts, self.agrees = answers
        self.say = say
        self.done: list[str] = []
        self.host_key = ""
        self.pins: list[str] = []  # lines about pinned host keys of storages
        self.written = ""  # the line about the app's file

    @property
    def file(self) -> Path:
        return self.folder / "apps" / f"{self.new.app}.yml"

    def run(self) -> None:
        with self._explained():
            if self.new.container or self.new.project:
                self._containers()
            app, inventory = self._app()
            self._check(inventory, app)
            self._write_file(inventory)
            for copy in app.copies:
                storagebox_setup.pin(inventory, copy.storage, self.trusts, self._pinned)
            with self._session() as (session, app):
                for copy in app.copies:
                    self._prepare(session, copy)
                self._passphrase(session, app)
            with self._session() as (session, app):
                for copy in app.copies:
                    self._repository(session, copy)
                self._prove(session, app)
                self.say(_table(gather(session, app.copies)))

    @contextmanager
    def _session(self) -> Iterator[tuple[Session, App]]:
        app, inventory = self._app()
        with Session(inventory) as session:
            yield session, app

    def _app(self) -> tuple[App, Inventory]:
        """Return the app as its file has it, or will have it."""
        inventory = load(self.folder)
        known = inventory.apps.get(self.new.app)
        if known is not None:
            refuse_contradiction(self.new, known, self.file)
            return known, inventory
        named = new_passphrase.reference(inventory.secrets, self.new.app)
        return draft(inventory, self.new.app, self.new.values(named, self.host_key)), inventory

    def _check(self, inventory: Inventory, app: App) -> None:
        """Check the host, and ask to trust its key if it is unknown. Changes nothing."""
        if app.name not in inventory.apps:
            new_passphrase.refuse_place(inventory.secrets, app.name)
        with Session(inventory) as session:
            self._trusting(app, lambda reached: self._host(session, reached), known=app.name in inventory.apps)

    def _trusting(self, app: App, act: Callable[[App], None], *, known: bool) -> None:
        """Do something on the app's host; for a new app whose host key is unknown, ask to trust that first."""
        try:
            act(app)
        except UnknownHostKeyError:
            if known:
                raise
            key = shown_host_key(target(app))
            if not self.trusts(app.host, fingerprint(key)):
                raise RefusedError(
                    f"{app.name}: the host key {fingerprint(key)} is not the one to trust; nothing was changed"
                ) from None
            self.host_key = key
            act(app.model_copy(update={"ssh": app.ssh.model_copy(update={"host_key": key})}))

    def _containers(self) -> None:
        """Find out what the containers that were named hold, for the file of a new app."""
        inventory = load(self.folder)
        if self.new.app in inventory.apps:
            return
        named = new_passphrase.reference(inventory.secrets, self.new.app)
        asking = replace(self.new, files=self.new.files or ("/",)).values(named)  # something, to have a host to ask

        def find(reached: App) -> None:
            found = in_containers(session.host(reached), self.new)
            self.new = replace(self.new, container=found.containers, found=found.values)
            for line in (*found.said, *found.warnings):
                self.say(f"{self.new.app}: {line}")

        with Session(inventory) as session:
            self._trusting(draft(inventory, self.new.app, asking), find, known=False)

    def _host(self, session: Session, app: App) -> None:
        found = list(host_checks(session, app))
        new = app.name not in session.inventory.apps
        wrong = [each for each in found if _wrong(each, new)]
        if wrong and new and sudo.helps(session, app, len(wrong)):
            if sudo.agreed(app):
                self.new = replace(self.new, become="sudo")
                self._host(session, sudo.becoming(app))
                return
            wrong.append(sudo.advice(app))
        if wrong:
            lines = [f"{each.name}: {each.text}: {each.remedy}".removesuffix(": ") for each in wrong]
            raise AppError(f"{app.name}: its host is not ready:", "\n  ".join(lines))
        if new:
            for copy in app.copies:
                list(way_to_storage(session, copy))
        for each in found:
            if each.level != "ok":
                self.say(f"{app.name}: {each.name}: {each.text}\n  {each.remedy}")
        self.say(f"{app.name}: {app.host} is ready for {' and '.join(app.sources)}")

    def _prepare(self, session: Session, app: App) -> None:
        account = session.storage_of(app).account
        if account is not None:
            storagebox_setup.install(session, account, (app,), self._did, self.agrees)

    def _passphrase(self, session: Session, app: App) -> None:
        store = session.inventory.secrets
        if new_passphrase.present(app.passphrase, app.name):
            return
        if new_passphrase.place(store, app.name) != app.passphrase:
            session.passphrase(app)  # raises, with the reason, if it cannot be read
        new_passphrase.make(
            store, app.name, repository_there=any(_has_repository(session, copy) for copy in app.copies)
        )
        self._did(f"{app.name}: passphrase made, kept in {new_passphrase.told(app.passphrase)}")

    def _write_file(self, inventory: Inventory) -> None:
        if self.new.app in inventory.apps:
            return
        named = new_passphrase.reference(inventory.secrets, self.new.app)
        write_whole(self.file, text(self.new.values(named, self.host_key), self.file), "the app")
        self.written = f"{self.new.app}: {self.file} written"
        self._did(self.written)

    def _repository(self, session: Session, app: App) -> None:
        repository = session.repository(app, Side.OPERATOR)
        made = take_into_use(Opened(session, app, repository))
        if made.created:
            self._did(f"{app.name}: repository {repository.url} made ({made.encryption}), its key in {made.escrow.key}")
            return
        listing = archives(repository)
        self.say(
            f"{app.name}: repository {repository.url} was there and opens ({made.encryption}): "
            f"{held(app, listing)}; its key is exported to {made.escrow.key}"
        )
        for line in adopted.remarks(app, repository, listing):
            self.say(f"{app.name}: {line}")

    def _prove(self, session: Session, app: App) -> None:
        """Make the first backup of each source, and drill every source that was never drilled."""
        report = gather(session, app.copies)
        unlisted = [row for row in report.apps if row.archives is None]
        if unlisted:
            raise AppError(f"{app.name}: {unlisted[0].error}")
        unsaved = _sources(row for row in report.apps if not row.archives and row.source in app.sources)
        if unsaved and fleet_backup.run(str(self.folder), fleet_backup.Options((app.name,), unsaved)):
            raise AppError(f"{app.name}: the first backup failed, as said above")
        unproven = _sources(row for row in report.apps if row.proven is None and restorable(row.source))
        if unproven and fleet_verify.run(str(self.folder), fleet_verify.Options((app.name,), unproven)):
            raise AppError(f"{app.name}: saved, but its first restore drill failed, as said above")
        self.done += [f"{app.name}: {source} saved" for source in unsaved]

    def _pinned(self, line: str) -> None:
        self.pins.append(line)
        self._did(line)

    def _did(self, line: str) -> None:
        self.done.append(line)
        self.say(line)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add to an error that comes midway: what was done stays, and how to continue."""
        try:
            yield
        except InterruptedRunError as error:
            self._take_back()
            raise InterruptedRunError(error.what, self._again()) from None
        except KeyboardInterrupt:
            self._take_back()
            raise InterruptedRunError("interrupted", self._again()) from None
        except CloudbackupError as error:
            self._take_back()
            if self.done:
                error.remedy = "\n  ".join(filter(None, (error.remedy, self._again())))
            raise

    def _take_back(self) -> None:
        """Remove the app's new file if nothing else was made: the error may be in what was typed."""
        if self.written and set(self.done) <= {self.written, *self.pins}:  # written in this run: an existing file stays
            self.file.unlink(missing_ok=True)
            self.done, self.written = list(self.pins), ""

    def _again(self) -> str:
        if not self.done:
            return "nothing was changed"
        return "what was done so far stays: run the same command again, and it goes on from there"


def _wrong(check: Check, new: bool) -> bool:
    """Return whether an app is not added because of a finding about its host.

    For a new app, a missing path or a pattern that matches nothing is a typing error; for a known one, a missing path
    may be about to be restored.
    """
    if check.name != READ_BY_BORG.name:
        return check.level == "error"
    return new and check.level != "ok" and not check.text.startswith(database_files.BEGINS)


def _has_repository(session: Session, app: App) -> bool:
    storage = session.storage_of(app)
    return storage.files(app).exists(f"{storage.path(app)}/config")


def _sources(rows: Iterable[Row]) -> list[str]:
    """Return the sources of some rows, each once, also if the app has several copies."""
    return list(dict.fromkeys(row.source for row in rows))


def _table(report: Report) -> str:
    return formats.write(report, "table", Look())
