"""Notifies the recipients in the inventory before and after a task over apps."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from tasks.errors import CloudbackupError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.notify.messages import Circle, News
from tasks.notify.outbox import Outbox
from tasks.run.outcome import WORST_FIRST, Outcome, faulted
from tasks.run.parallel import contained
from tasks.run.view import summed

NAMED = 12  # sources that are well, named in one line
Work = Callable[[App], list[Outcome]]
Each = tuple[Work, Callable[[App, CloudbackupError], list[Outcome]]]


@dataclass(frozen=True)
class Scope:
    """The scope of a task: `apps` are those it works on; `every` is True if these are all apps of the inventory.

    `whole` is True if it covers all of an app.
    """

    apps: Sequence[App]
    every: bool
    whole: Callable[[App], bool] = lambda _: True


class Gathered:
    """Use as a context manager around several tasks: who is notified of them gets one message, when all have ended.

    `every` is True if, together with what was done before, they leave nothing undone: what is not in their scope needed
    nothing.
    """

    def __init__(self, inventory: Inventory, *, every: bool) -> None:
        self.every = every
        self.outbox = Outbox()
        self._all = Circle("all apps", inventory.notify, self.outbox)
        self._apps = {app.name: Circle(app.name, app.notify, self.outbox) for app in inventory.apps.values()}
        self._news: dict[str, list[News]] = {}  # by app, and of all apps below an empty name
        self._lock = threading.Lock()

    def __enter__(self) -> "Gathered":
        self.outbox.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name, news in self._news.items():
            (self._apps[name] if name else self._all).ended_together(news)
        self.outbox.close()

    def add(self, name: str, news: News) -> None:
        """Keep the news of an app, or of all apps if `name` is empty. Safe for many threads."""
        with self._lock:
            self._news.setdefault(name, []).append(news)


class Notices:
    """Use as a context manager around a task. `verb` is what it does: saved, proven.

    Leaving with an exception, such as Ctrl-C, is reported as a failure. With `gathered`, the messages at the end are
    left to it.
    """

    def __init__(
        self, inventory: Inventory, action: str, verb: str, scope: Scope, gathered: Gathered | None = None
    ) -> None:
        self._gathered = gathered
        self._outbox = gathered.outbox if gathered else Outbox()
        self._all = Circle("all apps", inventory.notify, self._outbox)
        self._left = Counter(app.name for app in scope.apps)  # copies that have not ended
        self._had: dict[str, list[Outcome]] = {app.name: [] for app in scope.apps}
        self._apps = {app.name: Circle(app.name, app.notify, self._outbox) for app in scope.apps}
        self._whole = {app.name: scope.whole(app) for app in scope.apps}
        every = scope.every or (gathered is not None and gathered.every)
        self._every = every and all(self._whole.values())
        self._action = action
        self._verb = verb

    def __enter__(self) -> "Notices":
        if self._gathered is None:
            self._outbox.open()
        if self._every:
            self._all.began(self._action)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            title = f"{self._action} did not come to its end"
            self._ended("", News(self._action, title, str(error), failed=True))
        if self._gathered is None:
            self._outbox.close()

    def each(self, work: Work, sources: Callable[[App], Sequence[str]], done: Callable[[Outcome], None]) -> Each:
        """Return `work` with the app's notifications around it, and the handler of unforeseen errors for `over_apps`.

        After such an error, each of the app's `sources` has failed, which is shown with `done`.
        """

        def fault(app: App, error: CloudbackupError) -> list[Outcome]:
            return faulted(app, sources(app), error, done)

        work = contained(work, fault, lambda app: app.name)

        def told(app: App) -> list[Outcome]:
            circle = self._apps[app.name]
            if self._whole[app.name] and not self._had[app.name]:
                circle.began(self._action)
            outcomes = work(app)
            self._had[app.name] += outcomes
            self._left[app.name] -= 1
            if not self._left[app.name]:
                self.app_ended(app.name, self._had[app.name])
            return outcomes

        return told, fault

    def app_ended(self, app: str, outcomes: Sequence[Outcome]) -> None:
        """Notify one app's recipients how it ended."""
        self._ended(app, self._news(f"{self._action} of {app}", outcomes, whole=self._whole[app]))

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Notify the recipients for all apps how the run ended."""
        self._ended("", self._news(self._action, outcomes, whole=self._every))

    def _ended(self, name: str, news: News) -> None:
        """Notify an app's recipients, or, with an empty name, those for all apps."""
        if self._gathered is not None:
            self._gathered.add(name, news)
        else:
            (self._apps[name] if name else self._all).ended(news)

    def _news(self, what: str, outcomes: Sequence[Outcome], *, whole: bool) -> News:
        worst_first = sorted(outcomes, key=lambda outcome: WORST_FIRST.index(outcome.status))
        lines = [text for outcome in worst_first if _noted(outcome) for text in _told(outcome)]
        lines += _well([outcome for outcome in worst_first if not _noted(outcome)])
        failed = any(outcome.status != "ok" for outcome in outcomes)
        return News(self._action, f"{what}: {summed(outcomes, self._verb)}", "\n".join(lines), failed, whole)


def _noted(outcome: Outcome) -> bool:
    """Whether a person should read of it: it is not ok, or has a remark."""
    return outcome.status != "ok" or bool(outcome.said)


def _told(outcome: Outcome) -> list[str]:
    """Return a list's entry, without columns: mail and chat have proportional fonts."""
    first, *more = outcome.said or ("",)
    return [f"- {_label(outcome)}: {outcome.status}{': ' if first else ''}{first}", *(f"  {text}" for text in more)]


def _well(outcomes: Sequence[Outcome]) -> list[str]:
    """Return one line with all that is well, the first of them by name."""
    if not outcomes:
        return []
    more = f" and {len(outcomes) - NAMED} more" if len(outcomes) > NAMED else ""
    return [f"ok: {', '.join(map(_label, outcomes[:NAMED]))}{more}"]


def _label(outcome: Outcome) -> str:
    app = f"{outcome.app} on {outcome.storage}" if outcome.storage else outcome.app
    return f"{app} {outcome.source}".rstrip()
