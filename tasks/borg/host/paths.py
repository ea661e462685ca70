"""Examines the paths of an app, on its host and as the user who reads them. `tasks/borg/paths.py` sends it.

    PROGRAM borg ... create ... -- PATHS    examine, report, and exec that borg
    PROGRAM                                 examine and walk, report, and exit

Standard library only, Python 3.8 or later; the modules that it imports are sent with it. Input is the environment
variable CLOUDBACKUP_FILES, a JSON object: the fields of `Plan` in `tasks/borg/paths.py`, and `seconds` for the walk.
The findings are one JSON object: a line on standard error in the form of borg's own log, or standard output.

borg gets the patterns that were examined here, those of files as well, instead of the words that named them.

A symbolic link among the paths or on the way to one is saved as a link, and its target as well. borg alone would only
save the link.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import warnings
from typing import Any, Iterator

from tasks.borg.host.links import ABSENT, MISSING, follow, reason
from tasks.borg.host.mounts import KERNEL, SHOWN, device, hollow, inside, kind, mounted, subvolumes
from tasks.borg.host.nodump import flagged
from tasks.borg.host.pattern_files import PatternsError, Written, compiled, from_file
from tasks.borg.host.patterns import Rules, literal, split, styled
from tasks.borg.host.walk import first, walk

PLAN = "CLOUDBACKUP_FILES"
MSGID = "cloudbackup.paths"
PATTERNS = ("--exclude=", "--pattern=", "--patterns-from=")
TAG = b"Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir/
SPECIAL = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "FIFO",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}
TYPES = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", **SPECIAL}


def main() -> None:
    """Examine as the plan says; report; exec borg if its command is given."""
    warnings.simplefilter("ignore")  # of Python's about regular expressions, which borg has as well
    words = sys.argv[1:]
    look = Look(json.loads(os.environ.pop(PLAN)))
    try:
        look.look()
    except PatternsError as error:
        refuse(str(error), words)
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


def refuse(why: str, words: list[str]) -> None:
    """Report that a file of patterns cannot be used, and exit."""
    if not words:
        print(json.dumps({"fault": why}))
        sys.exit()
    print(f"cloudbackup: patterns: {why}", file=sys.stderr)
    sys.exit(2)


def become(look: Look, words: list[str]) -> None:
    """Replace this program by borg, with the paths that are to be saved and the patterns in force."""
    words = [word for at, word in enumerate(words) if at > words.index("--") or not word.startswith(PATTERNS)]
    end = words.index("--")
    place = shutil.which(words[0])
    try:
        os.execv(place or "", [*words[: end - 1], *look.options(), words[end - 1], "--", *look.roots])  # noqa: S606
    except OSError as error:  # worded as bash does
        known = "cannot execute: required file not found" if place else "command not found"
        print(f"bash: {place or words[0]}: {known if error.errno in ABSENT else error.strerror}", file=sys.stderr)
        sys.exit(126 if place else 127)


class Look:
    """The findings about the paths of a plan.

    `roots` is what borg is to save, `links` maps each path with links in it to its real location, `left_out` maps each
    path that is not saved to the reason, `left` are file systems left out by the plan, and `types` maps each path that
    is there to what it is, or leads to.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.cross = plan["mounts"] == "cross"
        self.written: list[Written] = []
        self.rules = Rules([])
        self.kernel: list[str] = []
        self.roots: list[str] = []
        self.links: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.left: list[str] = []
        self.table = mounted()

    def look(self) -> None:
        """Examine everything."""
        places = {place for place, _ in self.table}
        for path in self.plan["mounted"]:
            if os.path.realpath(path) not in places:
                self.left_out[path] = "is not mounted"
        own = [
            *(Written("patterns", line, line[0], styled(line[1:].lstrip(), "sh")) for line in self.plan["patterns"]),
            *(Written("exclude", pattern, "!", styled(pattern, "fm")) for pattern in self.plan["exclude"]),
        ]
        for each in own:
            compiled(f"files.{each.where}: {each.text}", each.pattern)
        self.written = [*own, *(each for path in self.plan["patterns_from"] for each in from_file(path))]
        rules = [f"{each.sign} {each.pattern}" for each in self.written]
        self.rules = Rules(rules)
        real = self.follow_all()
        self.rules = Rules([each for rule in rules for each in (rule, *self.behind_links(rule))])
        for path, place in real.items():
            self.types[path] = TYPES.get(stat.S_IFMT(os.lstat(place).st_mode), "")
            why = "" if path in self.plan["optional"] else self.nothing(place)
            if why:
                self.left_out.setdefault(path, why)
        for root in list(self.roots):
            self.file_systems(root)

    def found(self) -> dict[str, Any]:
        """Return the findings for the report."""
        lists: dict[str, list[Any]] = {"roots": self.roots, "links": list(self.links.items()), "left": self.left}
        lists["left_out"] = list(self.left_out.items())
        lists["types"] = list(self.types.items())
        return {**{name: first(values) for name, values in lists.items()}, "count": len(self.left_out)}

    def options(self) -> list[str]:
        """Return options for borg beyond those from the inventory."""
        return [f"--pattern={rule}" for rule in (*self.kernel, *self.rules.rules)]

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

    def behind_links(self, rule: str) -> list[str]:
        """For a pattern of something below a path that is a link, return the patterns of its real location."""
        style, text = split(rule[2:])
        rest = "/" + text.lstrip("/")
        return [
            f"{rule[0]} {style}:{literal(place) if style in ('fm', 'sh') else place}{rest[len(path) :]}"
            for path, place in self.links.items()
            if style != "re" and rest.startswith(path + "/")
        ]

    def reaches(self, root: str, place: str) -> bool:
        """Return whether borg, starting at `root`, reaches a place below it, whether or not it saves it."""
        if place == root or not inside(place, root):
            return False
        step = root
        for name in place[len(root.rstrip("/")) + 1 :].split("/"):
            if self.rules.stops(step) or self.tagged(step) or self.elsewhere(step, root) or self.unwanted(step):
                return False
            step = os.path.join(step, name)
        return not self.rules.stops(place)

    def enters(self, root: str, place: str) -> bool:
        """Return whether borg, starting at `root`, saves all at a place below it that it would from there."""
        return self.reaches(root, place) and not self.elsewhere(place, root)

    def holds(self, place: str) -> bool:
        """Return whether an archive will hold what is at this real location."""
        reached = any(place == root or self.enters(root, place) for root in self.roots)
        return reached and not self.rules.match(place) and not self.unwanted(place)

    def unwanted(self, place: str) -> bool:
        """Return whether borg leaves out a file or folder, with all below it, because of its flag `nodump`."""
        return self.plan["nodump"] and flagged(place)

    def elsewhere(self, place: str, root: str) -> bool:
        """Return whether borg stops at a folder because another file system begins there."""
        return not self.cross and device(place) != device(root)

    def tagged(self, folder: str) -> bool:
        """Return whether borg skips the contents of a folder because it is tagged: as a cache, or by a file's name."""
        if any(os.path.exists(os.path.join(folder, name)) for name in self.plan["exclude_if_present"]):
            return True
        if not self.plan["exclude_caches"]:
            return False
        try:
            with open(os.path.join(folder, "CACHEDIR.TAG"), "rb") as tag:
                return tag.read(len(TAG)) == TAG
        except OSError:
            return False

    def nothing(self, root: str) -> str:
        """Return why nothing of a path is saved; empty if something is, or if borg will report it."""
        mode = os.lstat(root).st_mode
        if self.unwanted(root) or (self.rules.match(root) and not (stat.S_ISDIR(mode) and self.rules.takes_back(root))):
            return "is excluded"
        if (what := SPECIAL.get(stat.S_IFMT(mode))) is not None:
            return f"is a {what}: borg saves no data of it"
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
                sign = self.rules.sign(path)
                if not mode or sign == "!" or self.unwanted(path):
                    continue
                if sign == "+":
                    yield path, mode
                if stat.S_ISDIR(mode):
                    todo.append(path)

    def file_systems(self, root: str) -> None:
        """Find the file systems below a root that borg would not enter, or should not."""
        for place, type_ in self.table:
            if type_ in KERNEL and self.cross and inside(place, root) and place != root:
                self.kernel.append(f"! sh:{literal(place)}/")  # the folder itself stays
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
        if self.rules.match(place) and not self.rules.takes_back(place):
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


if __name__ == "__main__":
    main()
