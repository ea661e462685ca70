"""The loop over apps: several at a time, each independent of the others' faults, with Ctrl-C handled."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, InterruptedRunError, UsageError
from tasks.inventory.models import App
from tasks.remote.running import LeftRunningError
from tasks.run.session import Session

PARALLEL = 8  # default number of apps at a time
MOST = 64
LOOK = 0.2  # seconds between two checks for Ctrl-C
LEFT_ALONE = (signal.SIG_IGN, None)  # handlers that stay: a script's background job leaves Ctrl-C to others

# A Storage Box allows 10 connections. One app uses one at a time (its host's borg, later the operator's listing); the
# operator's files take another, and one is left for a person's login. A second command in parallel counts only its own;
# if it is refused a connection, it retries.
BOX_PLACES = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def over_apps(
    session: Session,
    apps: Sequence[App],
    parallel: int,
    work: Callable[[App], Result],
    fault: Callable[[App, CloudbackupError], Result],
) -> list[Result]:
    """Return `work` of each app, in the order of `apps`, at most `parallel` at a time, and 8 on one Storage Box.

    Copies of one app run one after another.

    `work` returns its own faults as values; `fault` turns an exception that it did not foresee into a value, so that
    only that app fails. Ctrl-C and SIGTERM end what runs on all hosts, wait until it has ended, and raise
    InterruptedRunError. Raises UsageError for an invalid number.
    """
    if not 1 <= parallel <= MOST:
        raise UsageError(f"--parallel {parallel} is not between 1 and {MOST}")

    def free(app: App, running: Sequence[App]) -> bool:
        box = _shared(session, app)
        if any(other.name == app.name for other in running):  # copies of one app share its host and its commands
            return False
        return box is None or sum(_shared(session, other) == box for other in running) < BOX_PLACES

    return spread(session, apps, parallel, contained(work, fault, lambda app: app.name), free)


def contained(
    work: Callable[[Item], Result], fault: Callable[[Item, CloudbackupError], Result], name: Callable[[Item], str]
) -> Callable[[Item], Result]:
    """Return `work` with every exception except an interruption turned into a result by `fault`.

    `name` returns an item's name, for the error.
    """

    def tried(item: Item) -> Result:
        try:
            with foreseen(name(item)):
                return work(item)
        except CloudbackupError as error:
            return fault(item, error)

    return tried


def spread(
    session: Session,
    items: Sequence[Item],
    parallel: int,
    work: Callable[[Item], Result],
    free: Callable[[Item, Sequence[Item]], bool] = lambda _item, _running: True,
) -> list[Result]:
    """Return `work` of each item as `over_apps` does.

    `free` returns whether an item may start, given those that run. `work` must not raise (see `contained`).
    """
    waiting = list(range(len(items)))
    results: dict[int, Result] = {}
    running: dict[Future[Result], int] = {}
    with _interruption() as asked, ThreadPoolExecutor(parallel) as pool:
        try:
            while (waiting or running) and not asked.is_set():
                for index in tuple(waiting):
                    if len(running) < parallel and free(items[index], [items[other] for other in running.values()]):
                        waiting.remove(index)
                        running[pool.submit(work, items[index])] = index
                for done in wait(running, LOOK, FIRST_COMPLETED).done:
                    results[running.pop(done)] = done.result()
        except KeyboardInterrupt:  # of an app's work
            asked.set()
        if asked.is_set():
            session.cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise _interrupted(list(running))
    return [results[index] for index in range(len(items))]


def _interrupted(ended: Sequence[Future[Result]]) -> InterruptedRunError:
    """Return the error to raise once all work has ended; it names what was not confirmed to have ended on its host."""
    left: list[str] = []
    for future in ended:
        error = None if future.cancelled() else future.exception()
        while error is not None:  # its cleanup may have raised another one
            if isinstance(error, LeftRunningError):
                left.append(error.what.replace("interrupted; ", ""))
            error = error.__context__
    if not left:
        return InterruptedRunError("interrupted: everything that ran was ended")
    return InterruptedRunError(f"interrupted; {'; '.join(left)}", "look there: it may hold locks of a database")


def _shared(session: Session, app: App) -> str | None:
    """Return the account whose limited connections an app's storage uses; None if there is no limit."""
    return session.inventory.storages[app.storage].connections_of


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Have Ctrl-C and SIGTERM set an event, which the loop looks at, in place of an exception at any point.

    Raised while `concurrent.futures.wait` takes a future's lock, an exception keeps that lock for ever: the future's
    work could never end. Raises InterruptedRunError at the end if nobody has looked.
    """
    asked = threading.Event()
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) not in LEFT_ALONE]
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in ours}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked.is_set():
        raise InterruptedRunError("interrupted: everything that ran was ended")


@contextmanager
def terminable() -> Iterator[None]:
    """Handle SIGTERM, which ends pods and jobs, like Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
