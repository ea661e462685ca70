"""The loop over apps: several at a time, each tried whatever became of the others, Ctrl-C heard."""

import signal
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

PARALLEL = 8  # apps at a time unless told otherwise
MOST = 64
LOOK = 0.2  # seconds between two looks for Ctrl-C

# A Storage Box takes 10 connections. One app has one at a time (its host's borg, later the operator's listing); the
# operator's files are another, and one is left for a person's login. A second command beside counts its own alone: what
# it is refused then, it tries again.
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

    Copies of one app come one after another.

    `work` turns its own faults into values; of an exception that it did not foresee, `fault` makes one, so that it is
    that app's failure and no other's. Ctrl-C and SIGTERM end what runs on all hosts, wait until it has
    ended, and raise InterruptedRunError. Raises UsageError for a number that cannot be.
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
    """Return `work` that raises nothing but an interruption: of any other exception, `fault` makes a result.

    `name` gives an item's, for the error.
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
    """Return `work` of each item as `over_apps` does; `free` tells whether one may start beside those that run.

    `work` must raise nothing (see `contained`).
    """
    waiting = list(range(len(items)))
    results: dict[int, Result] = {}
    running: dict[Future[Result], int] = {}
    with terminable(), ThreadPoolExecutor(parallel) as pool:
        try:
            while waiting or running:
                for index in tuple(waiting):
                    if len(running) < parallel and free(items[index], [items[other] for other in running.values()]):
                        waiting.remove(index)
                        running[pool.submit(work, items[index])] = index
                for done in wait(running, LOOK, FIRST_COMPLETED).done:
                    results[running.pop(done)] = done.result()
        except KeyboardInterrupt:
            session.cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise _interrupted(list(running)) from None
    return [results[index] for index in range(len(items))]


def _interrupted(ended: Sequence[Future[Result]]) -> InterruptedRunError:
    """Return what to raise once all work has ended; it names what was not seen to end on its host."""
    left: list[str] = []
    for future in ended:
        error = None if future.cancelled() else future.exception()
        while error is not None:  # what cleaned up after it may have raised another
            if isinstance(error, LeftRunningError):
                left.append(error.what.replace("interrupted; ", ""))
            error = error.__context__
    if not left:
        return InterruptedRunError("interrupted: everything that ran was ended")
    return InterruptedRunError(f"interrupted; {'; '.join(left)}", "look there: it may hold locks of a database")


def _shared(session: Session, app: App) -> str | None:
    """Return whose few connections an app's storage takes; None where there are enough."""
    return session.inventory.storages[app.storage].connections_of


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM, with which pods and jobs are ended, do what Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
