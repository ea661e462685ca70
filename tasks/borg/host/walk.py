"""Walks what borg would save of an app's paths. Part of `paths.py`: standard library only, Python 3.8 or later.

`look` is that program's `Look`.
"""

from __future__ import annotations

import json
import os
import stat
import time
from typing import Any, Iterator

from tasks.borg.host.database_files import database
from tasks.borg.host.links import ABSENT, follow, reason
from tasks.borg.host.patterns import can_match

KEPT = 1000  # entries of each list that are reported; all are counted
ROOM = 15000  # characters for each list, so that one line of borg's log holds them all


def first(values: list[Any]) -> list[Any]:
    """Return the first values, as many as fit into the report."""
    fitting, room = [], ROOM
    for value in values[:KEPT]:
        room -= len(json.dumps(value))
        if room < 0:
            break
        fitting.append(value)
    return fitting


def walk(look: Any) -> dict[str, Any]:
    """Open every file that would be saved, until the time limit; return what cannot be read, and how much there is.

    `files` and `size` (bytes) are None if the time limit came first.
    """
    until = time.monotonic() + look.plan["seconds"]
    unread: dict[str, str] = {}
    databases: dict[str, str] = {}
    files = size = 0
    whole = True
    for path, mode in every(look):
        whole = time.monotonic() < until
        if not whole:
            break
        files += mode not in (0, stat.S_IFDIR)
        try:
            size += opened(path, mode)
        except OSError as error:
            if error.errno not in ABSENT:
                unread[path] = reason(error)
        if mode == stat.S_IFREG and (found := database(path)) and not look.rules.match(found[1]):
            databases.setdefault(found[1], found[0])
    report = {"unread": first(list(unread.items())), "unread_count": len(unread)}
    report.update(
        databases=first([(product, place) for place, product in databases.items()]),
        databases_count=len(databases),
        **judged(look),
    )
    return {**report, "files": files if whole else None, "size": size if whole else None}


def judged(look: Any) -> dict[str, Any]:
    """Return the patterns that can match nothing, with where they are written, and what drills ask for in vain."""
    idle = [
        (each.where, each.text)
        for each in look.written
        if each.pattern != each.pattern.strip() or not can_match(each.pattern, [*look.roots, *look.links])
    ]
    verified = [(path, follow(path)) for path in look.plan["verified"]]
    without = [path for path, (_, place, error) in verified if error is None and not look.holds(place)]
    return {"idle": first(idle), "without": first(without)}


def every(look: Any) -> Iterator[tuple[str, int]]:
    """Yield path and type of everything that would be saved."""
    for root in look.roots:
        if look.rules.stops(root) or look.unwanted(root):
            continue
        mode = stat.S_IFMT(os.lstat(root).st_mode)
        if not look.rules.match(root):
            yield root, mode
        if stat.S_ISDIR(mode):
            yield from look.below(root)


def opened(path: str, mode: int) -> int:
    """Open a file and return its size in bytes; 0 for anything but regular files."""
    if mode == 0:
        os.scandir(path).close()
    if mode != stat.S_IFREG:
        return 0
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return os.fstat(file).st_size
    finally:
        os.close(file)
