"""The backup of one app: its `before` and `after` commands, its sources one by one, and retries of transient faults."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime

from tasks.borg import encryption, lock
from tasks.borg.catalog import known_listing, last_size, looked_anew
from tasks.borg.client.create import UnencryptedError
from tasks.borg.client.list import archives
from tasks.borg.client.messages import Progress
from tasks.borg.client.runner import BorgError, How
from tasks.crash import foreseen
from tasks.errors import AppError, CloudbackupError, InterruptedRunError
from tasks.fleet.comment import commented
from tasks.fleet.hooks import around
from tasks.fleet.recorder import alarmed, confirmed, recorded
from tasks.inventory.models import App
from tasks.run import clocks
from tasks.run.outcome import Outcome, attempted
from tasks.run.retry import RETRIED, waiting
from tasks.run.session import Session
from tasks.run.view import View
from tasks.sources import save as sources_save
from tasks.sources.kinds import logs_alone
from tasks.storage.repository import Side

LOOK = How(lock_wait=60, timeout=300)


class AppBackup:
    """The backup of the chosen sources of one app."""

    def __init__(self, session: Session, app: App, chosen: Sequence[str], view: View) -> None:
        self.session = session
        self.app = app
        self.view = view
        self.alone = logs_alone(chosen)
        self.waiting = list(chosen)
        self.pauses = session.pauses()  # before the attempts that are left, in seconds
        self.faults: dict[str, tuple[str, ...]] = {}  # transient faults of earlier attempts, by source
        self.tried: list[Outcome] = []
        self.doubts: set[str] = set()  # repository anomalies already reported
        self.clocks: tuple[str, ...] = ()  # remarks about the clocks, reported once

    def save(self) -> list[Outcome]:
        """Return one outcome per source; raises only InterruptedRunError.

        A source that failed with a transient fault is retried with growing pauses, as often as the inventory says. The
        commands around the backup run again too, because a lost connection has already run the `after` commands.
        """
        self._try()
        while self.waiting:
            self._pause(self.pauses.pop(0))
            self._try()
        return self.tried

    def _around(self) -> AbstractContextManager[None]:
        """Return the `before` and `after` commands; none if only logs are saved, which is every few minutes."""
        return nullcontext() if self.alone else around(self.app, self.session.host(self.app))

    def _try(self) -> None:
        began, todo = datetime.now(UTC), self.waiting
        self.waiting = []
        try:
            with foreseen(self.app.name):
                self.clocks = clocks.compared(self.session, self.app, host=True)
            with foreseen(self.app.name), self._around():
                while todo:
                    outcome = self._source(todo.pop(0))
                    self._note(outcome)
                    if self.app.before or self.app.after:
                        self._put_off(todo, outcome, began)
        except CloudbackupError as error:
            self._lost(todo, error, began)

    def _put_off(self, todo: list[str], outcome: Outcome, began: datetime) -> None:
        """Defer all remaining sources after a lost connection: the `after` commands may have run already."""
        if outcome.met is not None:
            outcome = Outcome.fault(self.app.name, outcome.source, began, outcome.met)
        while todo and outcome.transient:
            self._note(replace(outcome, source=todo.pop(0)))

    def _note(self, outcome: Outcome) -> None:
        """Keep a transient fault for the next attempt, if there is one; otherwise the outcome is final."""
        before = self.faults.get(outcome.source, ())
        if outcome.transient and self.pauses and not (outcome.once and before):
            self.faults[outcome.source] = (*before, outcome.said[0])
            self.waiting.append(outcome.source)
            return
        self._ended(replace(outcome, details={**outcome.details, RETRIED: before}) if before else outcome)

    def _ended(self, outcome: Outcome) -> None:
        """Record the outcome at once: while the archive is unknown, another operator's prune refuses to run."""
        outcome = self._seen_to(outcome, lambda one: confirmed(self.session, self.app, [one])[0])
        outcome = self._seen_to(outcome, lambda one: commented(self.session, self.app, one))
        outcome = self._seen_to(outcome, lambda one: recorded(self.session, self.app, [one])[0])
        outcome = self._seen_to(outcome, lambda one: alarmed(one, self.doubts))
        if self.clocks and not outcome.failed:
            outcome, self.clocks = outcome.no_better_than("warning", *self.clocks), ()
        self.tried.append(outcome)
        self.view.done(outcome)

    def _seen_to(self, outcome: Outcome, step: Callable[[Outcome], Outcome]) -> Outcome:
        """Return the outcome after a step that follows the backup; an unforeseen fault there only adds a warning."""
        try:
            with foreseen(self.app.name):
                return step(outcome)
        except CloudbackupError as error:
            return outcome.no_better_than("warning", *str(error).removeprefix(f"{self.app.name}: ").splitlines())

    def _pause(self, seconds: float) -> None:
        for source in self.waiting:
            self.view.step(self.app.name, source, waiting(seconds, self.faults[source][-1]))
        if self.session.cancelled.wait(seconds):
            raise InterruptedRunError(f"{self.app.name}: interrupted")

    def _source(self, source: str) -> Outcome:
        self.view.step(self.app.name, source, "starts")
        outcome = attempted(self.app.name, source, lambda began: self._saved(source, began))
        self.view.step(self.app.name, source, "failed" if outcome.failed else "saved, to be listed")
        return outcome

    def _saved(self, source: str, began: datetime) -> Outcome:
        self._refuse_unencrypted()
        try:
            return sources_save.save(self.session, self.app, source, began, self._listener(source))
        except UnencryptedError:
            with suppress(CloudbackupError):  # so that the next backup knows it before sending anything
                looked_anew(self.session, self.app, LOOK, {})
            raise
        except BorgError as error:
            if lock.is_locked(error):
                raise lock.named(self.session, self.app, error) from error
            raise

    def _refuse_unencrypted(self) -> None:
        """Raise AppError if the last known listing showed an unencrypted repository, and it is still not encrypted.

        If no listing is cached, borg's answer about the new archive shows it, after the data was sent.
        """
        kept = known_listing(self.session, self.app)
        if kept is None or encryption.is_encrypted(kept.encryption):
            return
        mode = archives(self.session.repository(self.app, Side.OPERATOR), how=LOOK).encryption
        if not encryption.is_encrypted(mode):
            raise AppError(
                f"{encryption.fault(self.app.name, mode)}, so nothing was saved", encryption.remedy(self.app.name)
            )

    def _listener(self, source: str) -> sources_save.OnProgress:
        total = last_size(self.session, self.app, source)

        def listen(progress: Progress) -> None:
            self.view.progress(self.app.name, source, "backs up", progress.size, total)

        return listen

    def _lost(self, todo: list[str], error: CloudbackupError, began: datetime) -> None:
        """Note a fault of the commands: before the sources, none was saved; after them, it gets a line of its own."""
        for source in todo:
            self._note(Outcome.fault(self.app.name, source, began, error))
        if not self.waiting and not todo:
            self._ended(Outcome.fault(self.app.name, "after", began, error))
