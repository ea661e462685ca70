"""What `app.add` asks at a terminal for options that were not given."""

import sys
from collections.abc import Callable, Collection
from dataclasses import replace

from tasks.app.new_app import Wanted
from tasks.cli import confirm
from tasks.errors import UsageError

Ask = Callable[[str], str]
OPTIONS = "give --app NAME --host [USER@]HOST, and --files PATH (repeat it), --mariadb, or both"


def completed(wanted: Wanted, apps: Collection[str], storages: Collection[str], default_storage: str | None) -> Wanted:
    """Return the options, completed. `apps` and `storages` are the names in the inventory.

    Without a terminal nothing is asked: UsageError names the missing options.
    """
    if wanted.app in apps:
        return wanted
    missing = list(_missing(wanted))
    if not missing:
        return wanted
    if not sys.stdin.isatty():
        raise UsageError(f"{' and '.join(missing)} missing, and there is no terminal to ask at", OPTIONS)
    return _asked(wanted, apps, storages, default_storage)


def _missing(wanted: Wanted) -> list[str]:
    parts = {"--app": wanted.app, "--host": wanted.host, "--files or --mariadb": wanted.files or wanted.mariadb}
    return [option for option, value in parts.items() if not value]


def _asked(wanted: Wanted, apps: Collection[str], storages: Collection[str], default_storage: str | None) -> Wanted:
    name = wanted.app or _ask("Name of the app (a-z, 0-9, _ . -): ")
    if name in apps:
        return replace(wanted, app=name)
    wanted = replace(wanted, app=name, host=wanted.host or _ask("Its host, as in ssh ([user@]name), or local: "))
    if not wanted.files and not wanted.mariadb:
        files = tuple(_several("A path to back up (empty: no more): "))
        exclude = tuple(_several("A pattern to leave out, such as */cache/* (empty: no more): ")) if files else ()
        wanted = replace(wanted, files=files, exclude=wanted.exclude or exclude)
        wanted = replace(wanted, mariadb=confirm("Has it a MariaDB server to back up?", yes=False))
    if not wanted.files and not wanted.mariadb:
        raise UsageError("nothing to back up was named", OPTIONS)
    if not wanted.storage and default_storage is None and len(storages) > 1:
        wanted = replace(wanted, storage=_ask(f"Storage ({', '.join(storages)}): "))
    return wanted


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
