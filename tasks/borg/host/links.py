"""The real location of a path on a host. Part of `paths.py`: standard library only, Python 3.8 or later."""

from __future__ import annotations

import errno
import os
import stat

HOPS = 40  # links followed in a row, as in the kernel
ABSENT = (errno.ENOENT, errno.ENOTDIR)
MISSING = "is not there"


def reason(error: OSError) -> str:
    """Return why a path cannot be used, as a phrase to follow the path."""
    return MISSING if error.errno in ABSENT else f"cannot be read: {error.strerror}"


def follow(path: str) -> tuple[list[str], str, OSError | None]:
    """Return the links on the way to a path, its real location, and why it cannot be used."""
    links: list[str] = []
    place, hops = "/", 0
    todo = path.split("/")
    while todo:
        name = todo.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            place = os.path.dirname(place)
            continue
        step = os.path.join(place, name)
        try:
            target = os.readlink(step) if stat.S_ISLNK(os.lstat(step).st_mode) else None
        except OSError as error:
            return links, os.path.join(step, *todo), error
        hops += target is not None
        if hops > HOPS:
            return links, step, OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target is None:
            place = step
            continue
        links += [step] if step not in links else []
        place = "/" if target.startswith("/") else place
        todo = target.split("/") + todo
    return links, place, None
