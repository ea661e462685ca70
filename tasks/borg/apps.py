"""Going through apps for a verb: each is tried whatever became of the others."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tasks.terminal import whole_line


class SomeFailedError(CloudbackupError):
    """Some of several apps failed; each has been told already."""

    exit_code: ClassVar[int] = 3


class AllFailedError(CloudbackupError):
    """All of several apps failed; each has been told already."""

    exit_code: ClassVar[int] = 4


@dataclass(frozen=True)
class Opened:
    """An app, its repository as one side sees it, and the run that both belong to."""

    session: Session
    app: App
    repository: Repository


Act = Callable[[Opened], Iterable[str]]


def one(folder: str, name: str, storage: str, act: Act) -> None:
    """Print what `act` returns for one repository of an app, by the operator's side: the one in `storage`, or the only
    one.

    Transactions and archives are of one repository: the same number means something else in another one. Raises
    UsageError where an app has several and none is named, and what `act` raises.
    """
    with Session(load(Path(folder))) as session:
        copies = session.inventory.copies(name, storage or None)
        if len(copies) > 1:
            storages = " and ".join(copy.storage for copy in copies)
            raise UsageError(f"{name} has a repository in {storages}", "say which one by --storage")
        for line in act(Opened(session, copies[0], session.repository(copies[0], Side.OPERATOR))):
            print(whole_line(line))


def each(folder: str, names: Sequence[str], act: Act, side: Side = Side.OPERATOR) -> None:
    """Print what `act` returns for each named app, or for all when none is named.

    Raises the fault itself when there is one app only, otherwise SomeFailedError, AllFailedError, or the fault that
    all share, UsageError or RefusedError, in the end.
    """
    with Session(load(Path(folder))) as session:
        apps = session.inventory.select(names)
        failed: list[CloudbackupError] = []
        for app in apps:
            try:
                with foreseen(app.name):
                    for line in act(Opened(session, app, session.repository(app, side))):
                        print(whole_line(line))
            except CloudbackupError as error:
                if len(apps) == 1:
                    raise
                failed.append(error)
                print(error, file=sys.stderr)
    if failed:
        raise _end(failed, len(apps))


def _end(failed: Sequence[CloudbackupError], of: int) -> CloudbackupError:
    """Return what ends a run in which some apps failed: 2 or 5 where all failed for wrong usage or were refused."""
    what = f"{len(failed)} of {of} apps failed"
    for kind in (UsageError, RefusedError):
        if len(failed) == of and all(isinstance(error, kind) for error in failed):
            return kind(what)
    return (AllFailedError if len(failed) == of else SomeFailedError)(what)
