"""The loop over apps: several at a time, each tried whatever became of the others, Ctrl-C heard."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from tasks.errors import InterruptedRunError, UsageError
from tasks.inventory.models import App
from tasks.storage.session import Session

PARALLEL = 4  # apps at a time unless told otherwise
MOST = 8  # a Storage Box takes 10 connections; the operator's own and a listing come on top of one for each app
LOOK = 0.2  # seconds between two looks for Ctrl-C

Result = TypeVar("Result")


def over_apps(session: Session, apps: Sequence[App], parallel: int, work: Callable[[App], Result]) -> list[Result]:
    """Return `work` of each app, in the order of `apps`, at most `parallel` at a time.

    `work` must turn its own faults into values. Ctrl-C and SIGTERM end what runs on all hosts, wait until it has
    ended, and raise InterruptedRunError. Raises UsageError for a number that cannot be.
    """
    if not 1 <= parallel <= MOST:
        raise UsageError(f"--parallel {parallel} is not between 1 and {MOST}")
    with terminable(), ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(work, app) for app in apps]
        try:
            while wait(futures, LOOK).not_done:
                pass
        except KeyboardInterrupt:
            session.cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise InterruptedRunError("interrupted: everything that ran was ended") from None
        return [future.result() for future in futures]


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
