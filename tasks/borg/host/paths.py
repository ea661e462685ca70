"""Examines the paths of an app, on its host and as the user who reads them. `tasks/borg/paths.py` sends it.

    PROGRAM borg ... create ... -- PATHS    examine, report, and exec that borg
    PROGRAM                                 examine and walk, report, and exit

Standard library only, Python 3.8 or later; `links.py`, `mounts.py` and `patterns.py` are sent with it. Input is the
environment variable CLOUDBACKUP_FILES, a JSON object: `paths`, `optional`, `exclude`, `exclude_caches`, `mounts`
(cross, leave, or nothing), `mounted`, and `seconds` for the walk. The findings are one JSON object: a line on standard
error in the form of borg's own log, or standard output.

A symbolic link among the paths or on the way to one is saved as a link, and its target as well. borg alone would only
save the link.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from typing import Any, Iterator

from tasks.borg.host.links import ABSENT, MISSING, follow, reason
from tasks.borg.host.mounts import KERNEL, SHOWN, device, hollow, inside, kind, mounted, subvolumes
from tasks.borg.host.patterns import Excludes, literal, split

PLAN = "CLOUDBACKUP_FILES"
MSGID = "cloudbackup.paths"
KEPT = 1000  # entries of each list that are reported; all are counted
ROOM = 15000  # characters for each list, so that one line of borg's log holds them all
TAG = b"Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir/


def main() -> None:
    """Examine as the plan says; report; exec borg if its command is given."""
    look = Look(json.loads(os.environ.pop(PLAN)))
    look.look()
    words = sys.argv[1:]
    if not words:
        print(json.dumps({**look.found(), **walk(look)}))
        return
    if not look.roots:
        told = [f"{path} {reason}" for path, reason in look.left_out.items() if reason != MISSING]
        why = f"can be read: {told[0]}" if told else "exists"
        print(f"cloudbackup: none of the paths {why}", file=sys.stderr)
        sys.exit(2)
    line = {"type": "log_message", "levelname": "INFO", "msgid": MSGID, "message": json.dumps(look.found())}
    print(json.dumps(line), file=sys.stderr, flush=True)
    become(look, words)


def become(look: Look, words: list[str]) -> None:
    """Replace this program by borg, with the paths that are to be saved."""
    end = words.index("--")
    place = shutil.which(words[0])
    try:
        os.execv(place or "", [*words[: end - 1], *look.options(), words[end - 1], "--", *look.roots])  # noqa: S606
    except OSError as error:  # worded as bash does
        known = "cannot execute: required file not found" if place else "command not found"
        print(f"bash: {place or words[0]}: {known if error.errno in ABSENT else error.strerror}", file=sys.stderr)
        sys.exit(126 if place else 127)


def first(values: list[Any]) -> list[Any]:
    """Return the first values, as many as fit into the report."""
    told, room = [], ROOM
    for value in values[:KEPT]:
        room -= len(json.dumps(value))
        if room < 0:
            break
        told.append(value)
    return told


class Look:
    """The findings about the paths of a plan.

    `roots` is what borg is to save, `links` maps each path with links in it to its real location, `left_out` maps each
    path that is not saved to the reason, and `left` are file systems left out by the plan.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.cross = plan["mounts"] == "cross"
        self.excludes = Excludes(plan["exclude"])
        self.more: list[str] = []
        self.roots: list[str] = []
        self.links: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.left: list[str] = []
        self.table = mounted()

    def look(self) -> None:
        """Examine everything."""
        places = {place for place, _ in self.table}
        for path in self.plan["mounted"]:
            if os.path.realpath(path) not in places:
                self.left_out[path] = "is not mounted"
        real = self.follow_all()
        self.exclude_behind_links()
        for path, place in real.items():
            why = "" if path in self.plan["optional"] else self.nothing(place)
            if why:
                self.left_out.setdefault(path, why)
        for root in list(self.roots):
            self.file_systems(root)

    def found(self) -> dict[str, Any]:
        """Return the findings for the report."""
        lists: dict[str, list[Any]] = {"roots": self.roots, "links": list(self.links.items()), "left": self.left}
        lists["left_out"] = list(self.left_out.items())
        return {**{name: first(values) for name, values in lists.items()}, "count": len(self.left_out)}

    def options(self) -> list[str]:
        """Return options for borg beyond those from the inventory."""
        return [f"--exclude={pattern}" for pattern in self.more]

    def follow_all(self) -> dict[str, str]:
        """Find the roots; return the real location of each existing path."""
        real: dict[str, str] = {}
        added: list[str] = []
        for path in self.plan["paths"]:
            links, place, error = follow(path)
            added += links
            if error is None:
                real[path] = place
                if links:
                    self.links[path] = place
            elif not (path in self.plan["optional"] and error.errno in ABSENT):
                self.left_out[path] = f"is a link to {place}, which {reason(error)}" if links else reason(error)
        every = list(dict.fromkeys([*real.values(), *added]))
        self.roots = [place for place in every if not any(self.enters(root, place) for root in every)]
        return real

    def exclude_behind_links(self) -> None:
        """For what is excluded below a path that is a link, exclude its real location as well."""
        for pattern in self.plan["exclude"]:
            style, text = split(pattern)
            for path, place in self.links.items():
                if style != "re" and ("/" + text.lstrip("/")).startswith(path + "/"):
                    rest = text.lstrip("/")[len(path) - 1 :]
                    self.more.append(f"{style}:{literal(place) if style in ('fm', 'sh') else place}{rest}")
        self.excludes = Excludes([*self.plan["exclude"], *self.more])

    def reaches(self, root: str, place: str) -> bool:
        """Return whether borg, starting at `root`, reaches a place below it, whether or not it saves it."""
        if place == root or not inside(place, root):
            return False
        step = root
        for name in place[len(root.rstrip("/")) + 1 :].split("/"):
            if self.excludes.match(step) or self.tagged(step) or self.elsewhere(step, root):
                return False
            step = os.path.join(step, name)
        return not self.excludes.match(place)

    def enters(self, root: str, place: str) -> bool:
        """Return whether borg, starting at `root`, saves everything at a place below it."""
        return self.reaches(root, place) and not self.elsewhere(place, root)

    def elsewhere(self, place: str, root: str) -> bool:
        """Return whether borg stops at a folder because another file system begins there."""
        return not self.cross and device(place) != device(root)

    def tagged(self, folder: str) -> bool:
        """Return whether borg skips the contents of a folder because it is tagged as a cache."""
        if not self.plan["exclude_caches"]:
            return False
        try:
            with open(os.path.join(folder, "CACHEDIR.TAG"), "rb") as tag:
                return tag.read(len(TAG)) == TAG
        except OSError:
            return False

    def nothing(self, root: str) -> str:
        """Return why nothing of a path is saved; empty if something is, or if borg will report it."""
        if self.excludes.match(root):
            return "is excluded"
        mode = os.lstat(root).st_mode
        if stat.S_ISSOCK(mode):
            return "is a socket, which borg does not save"
        if not stat.S_ISDIR(mode) or self.something(root):
            return ""
        return "has nothing in it that is saved: it is empty, or all of it is excluded"

    def something(self, root: str) -> bool:
        """Return whether borg saves any file below a folder. An unreadable folder counts, as borg reports it."""
        return any(not stat.S_ISDIR(mode) for _, mode in self.below(root, unreadable=stat.S_IFREG))

    def below(self, root: str, unreadable: int = 0) -> Iterator[tuple[str, int]]:
        """Yield path and type of what borg saves below a folder; an unreadable folder has the type `unreadable`."""
        todo = [root]
        while todo:
            folder = todo.pop()
            if self.tagged(folder) or self.elsewhere(folder, root):
                continue
            try:
                with os.scandir(folder) as entries:
                    found = [(entry.path, kind_of(entry)) for entry in entries]
            except OSError:
                yield folder, unreadable
                continue
            for path, mode in found:
                if mode and not self.excludes.match(path):
                    yield path, mode
                    if stat.S_ISDIR(mode):
                        todo.append(path)

    def file_systems(self, root: str) -> None:
        """Find the file systems below a root that borg would not enter, or should not."""
        for place, type_ in self.table:
            if type_ in KERNEL and self.cross and inside(place, root) and place != root:
                self.more.append(f"sh:{literal(place)}/")  # the folder itself stays
            elif type_ not in KERNEL and type_ not in SHOWN:
                self.other(root, place, type_)
        if kind(root, self.table) == "btrfs":
            places = {place for place, _ in self.table}
            for place in subvolumes(root):
                if place not in places:
                    self.subvolume(root, place)

    def subvolume(self, root: str, place: str) -> None:
        """Note a btrfs subvolume below a root; if a snapshot only names it, crossing saves nothing of it."""
        if self.cross and hollow(place) and self.reaches(root, place):
            self.left_out.setdefault(place, "is the place of a btrfs subvolume that the snapshot does not hold")
        self.other(root, place, "a btrfs subvolume")

    def other(self, root: str, place: str, type_: str) -> None:
        """Note a file system below a root, unless it is saved, excluded, or a root of its own."""
        if place in self.roots or not self.elsewhere(place, root) or not self.reaches(root, place):
            return
        if self.plan["mounts"] == "leave":
            self.left.append(f"{place} ({type_})")
        else:
            self.left_out.setdefault(place, f"is a file system of its own ({type_})")


def kind_of(entry: os.DirEntry[str]) -> int:
    """Return the type bits of an entry's mode; 0 for what borg skips: sockets, and what vanished."""
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    try:
        mode = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return 0
    return 0 if mode == stat.S_IFSOCK else mode


def walk(look: Look) -> dict[str, Any]:
    """Open every file that would be saved, until the time limit; return what cannot be read, and how much there is.

    `files` and `size` (bytes) are None if the time limit came first.
    """
    until = time.monotonic() + look.plan["seconds"]
    unread: dict[str, str] = {}
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
    told = {"unread": first(list(unread.items())), "unread_count": len(unread)}
    return {**told, "files": files if whole else None, "size": size if whole else None}


def every(look: Look) -> Iterator[tuple[str, int]]:
    """Yield path and type of everything that would be saved."""
    for root in look.roots:
        if not look.excludes.match(root):
            yield root, stat.S_IFMT(os.lstat(root).st_mode)
            if stat.S_ISDIR(os.lstat(root).st_mode):
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


if __name__ == "__main__":
    main()
