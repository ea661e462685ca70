"""Runs a verb for several apps; a failure of one does not stop the others."""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tasks.errors import CloudbackupError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.json_output import written
from tasks.run.parallel import PARALLEL, contained, over_apps
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tasks.terminal import whole_line
from tasks.units import many


class SomeFailedError(CloudbackupError):
    """Some of several apps failed; each fault has been printed already."""

    exit_code: ClassVar[int] = 3


class AllFailedError(CloudbackupError):
    """All of several apps failed; each fault has been printed already."""

    exit_code: ClassVar[int] = 4


@dataclass(frozen=True)
class Opened:
    """An app, its repository as one side accesses it, and the session of both."""

    session: Session
    app: App
    repository: Repository


@dataclass(frozen=True)
class _How:
    """`together`: eight apps at a time. Otherwise one after another, as a person may be asked."""

    side: Side = Side.OPERATOR
    together: bool = False


Act = Callable[[Opened], Iterable[str]]
Read = Callable[[Opened], Mapping[str, Any]]


def one(folder: str, name: str, storage: str, act: Act) -> None:
    """Print what `act` returns for one of an app's repositories, on the operator's side: the one in `storage`, or the
    only.

    Transactions and archives belong to one repository: the same number means something else in another. Raises
    UsageError if an app has several and none is named, and what `act` raises.
    """
    with Session(load(Path(folder))) as session:
        for line in act(_opened_one(session, name, storage)):
            print(whole_line(line))


def one_left(folder: str, name: str, storage: str, act: Act) -> None:
    """As `one`; `storage` may be one that the app has left, where its repository was set aside.

    `act` gets a repository of the app that is in use. Raises as `one` does, and UsageError for an unknown storage.
    """
    with Session(load(Path(folder))) as session:
        copies = session.inventory.copies(name)
        left = storage in session.inventory.storages and storage not in [copy.storage for copy in copies]
        for line in act(_opened_one(session, name, copies[0].storage if left else storage)):
            print(whole_line(line))


def one_document(folder: str, name: str, storage: str, read: Read) -> None:
    """Print what `read` returns for one of an app's repositories as JSON. Raises as `one` does."""
    with Session(load(Path(folder))) as session:
        opened = _opened_one(session, name, storage)
        print(written({**_place(opened.app), **read(opened)}))


def _opened_one(session: Session, name: str, storage: str) -> Opened:
    copies = session.inventory.copies(name, storage or None)
    if len(copies) > 1:
        storages = " and ".join(copy.storage for copy in copies)
        raise UsageError(f"{name} has a repository in {storages}", "say which one by --storage")
    return Opened(session, copies[0], session.repository(copies[0], Side.OPERATOR))


def each(folder: str, names: Sequence[str], act: Act, side: Side = Side.OPERATOR) -> None:
    """Print what `act` returns for each named app, or for all if none is named.

    With a single app its own error is raised; otherwise, at the end, SomeFailedError, AllFailedError, or, if all apps
    failed with it, UsageError or RefusedError.
    """

    def told(opened: Opened) -> None:
        for line in act(opened):
            print(whole_line(line))

    _over(folder, names, told, lambda _app, _error: None, _How(side))


def several(folder: str, names: Sequence[str], act: Act) -> None:
    """As `each`, eight apps at a time: the lines of one app stay together, and come when it is done."""
    printing = threading.Lock()

    def told(opened: Opened) -> None:
        lines = [whole_line(line) for line in act(opened)]
        with printing:
            print("\n".join(lines), flush=True)

    _over(folder, names, told, lambda _app, _error: None, _How(together=True))


def documents(folder: str, names: Sequence[str], read: Read) -> None:
    """Print one JSON document: what `read` returns for each named app, or its error. Raises as `each` does."""
    found: list[Mapping[str, Any]] = []

    def fault(app: App, error: CloudbackupError) -> None:
        found.append({**_place(app), "error": error.what, "remedy": error.remedy or None})

    failed: CloudbackupError | None = None
    try:
        _over(folder, names, lambda opened: found.append({**_place(opened.app), **read(opened)}), fault)
    except CloudbackupError as error:
        failed = error
    if found:  # not after Ctrl-C: a part would pass for all apps
        print(written({"apps": found}))
    if failed is not None:
        raise failed


def _place(app: App) -> dict[str, str]:
    return {"app": app.name, "storage": app.storage}


def _over(
    folder: str,
    names: Sequence[str],
    act: Callable[[Opened], None],
    fault: Callable[[App, CloudbackupError], None],
    how: _How | None = None,
) -> None:
    """Call `act` for each app; `fault` gets the errors where there are several apps."""
    how = how or _How()
    with Session(load(Path(folder))) as session:
        apps = session.inventory.select(names)

        def work(app: App) -> CloudbackupError | None:
            act(Opened(session, app, session.repository(app, how.side)))
            return None

        def met(app: App, error: CloudbackupError) -> CloudbackupError:
            if len(apps) > 1:
                fault(app, error)
                print(error, file=sys.stderr)
            return error

        one_by_one = contained(work, met, lambda app: app.name)
        ended = over_apps(session, apps, PARALLEL, work, met) if how.together else [one_by_one(app) for app in apps]
    failed = [error for error in ended if error is not None]
    if failed and len(apps) == 1:
        raise failed[0]
    if failed:
        raise _end(failed, len(apps))


def _end(failed: Sequence[CloudbackupError], of: int) -> CloudbackupError:
    """Return the final error if some apps failed: exit code 2 or 5 if all had wrong usage or were refused."""
    what = f"{len(failed)} of {many(of, 'app')} failed"
    for kind in (UsageError, RefusedError):
        if len(failed) == of and all(isinstance(error, kind) for error in failed):
            return kind(what)
    return (AllFailedError if len(failed) == of else SomeFailedError)(what)
