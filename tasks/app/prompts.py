"""What `app.add` asks at a terminal for options that were not given."""

import sys
from collections.abc import Callable, Collection
from dataclasses import replace

from tasks.app.new_app import NewApp
from tasks.cli import confirm
from tasks.errors import UsageError

Ask = Callable[[str], str]
OPTIONS = "give --app NAME --host [USER@]HOST, and --files PATH (repeat it), --mariadb, or --container NAME"


def completed(new: NewApp, apps: Collection[str], storages: Collection[str], default_storage: str | None) -> NewApp:
    """Return the options, completed. `apps` and `storages` are the names in the inventory.

    Without a terminal nothing is asked: UsageError names the missing options.
    """
    if new.app in apps:
        return new
    if not new.app and (new.project or len(new.container) == 1):
        new = replace(new, app=new.project or new.container[0])
        if new.app in apps:
            return new
    missing = list(_missing(new))
    if not missing:
        return new
    if not sys.stdin.isatty():
        raise UsageError(f"{' and '.join(missing)} missing, and there is no terminal to ask at", OPTIONS)
    return _asked(new, apps, storages, default_storage)


def _missing(new: NewApp) -> list[str]:
    parts = {"--app": new.app, "--host": new.host, "--files or --mariadb": _named(new)}
    return [option for option, value in parts.items() if not value]


def _named(new: NewApp) -> bool:
    """Return whether the options name something to back up."""
    return bool(new.files or new.mariadb or new.container or new.project)


def _asked(new: NewApp, apps: Collection[str], storages: Collection[str], default_storage: str | None) -> NewApp:
    name = new.app or _ask("Name of the app (a-z, 0-9, _ . -): ")
    if name in apps:
        return replace(new, app=name)
    new = replace(new, app=name, host=new.host or _ask("Its host, as in ssh ([user@]name), or local: "))
    if not _named(new):
        files = tuple(_several("A path to back up (empty: no more): "))
        exclude = tuple(_several("A pattern to leave out, such as */cache/* (empty: no more): ")) if files else ()
        new = replace(new, files=files, exclude=new.exclude or exclude)
        new = replace(new, mariadb=confirm("Back up a MariaDB server there?", yes=False))
    if not _named(new):
        raise UsageError("nothing to back up was named", OPTIONS)
    if not new.storage and default_storage is None and len(storages) > 1:
        new = replace(new, storage=_ask(f"Storage ({', '.join(storages)}): "))
    return new


def _ask(question: str) -> str:
    while True:
        answer = _line(question)
        if answer:
            return answer


def _several(question: str) -> list[str]:
    answers: list[str] = []
    while answer := _line(question):
        answers.append(answer)
    return answers


def _line(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        raise UsageError("the answers ended", OPTIONS) from None
