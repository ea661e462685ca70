"""One `borg extract` into an empty folder: behind a wall, supervised, and compared with the archive's list afterwards.

borg only warns about what it could not write, and continues. Whether everything was extracted is found by comparing the
folder with the list, entry by entry, so that any loss shows.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tasks.borg.host.entries import FORMAT, NAMED, Entry, Found, Look, Malformed, Named, entries, shown, stripped
from tasks.remote.landlock import enter, version

NO_SPACE = re.compile(r"\[Errno (?:28|122)\]")
# What the file system cannot store of owners, modes and attributes; the content is there. Tried, borg 1.2.4 and 1.4.5.
ATTRIBUTE = re.compile(r"when setting extended attribute |: (?:truncate_and_)?attrs: \[Errno (?:1|13|22|95)\]")
# Messages not about files: the lock of a killed run, and what the storage's login prints.
PASSING = re.compile(r"Killed stale lock |Removed stale \w+ roster lock |Remote: ")
FORMATS = {ord("-"): stat.S_IFREG, ord("d"): stat.S_IFDIR, ord("l"): stat.S_IFLNK, ord("p"): stat.S_IFIFO}
FORMATS.update({ord("b"): stat.S_IFBLK, ord("c"): stat.S_IFCHR, ord("s"): stat.S_IFSOCK})
CAPABILITY = "security.capability"  # the extended attribute that gives a program rights of root
OUTPUT = ("/dev/null", "/dev/tty", "/dev/zero")
KEPT = 10_000  # faulty entries to keep, before they are only counted


class BorgFailed(Exception):  # noqa: N818
    """Borg exited with the given code."""


class NoSpace(Exception):  # noqa: N818
    """The file system is full, or its quota is used up."""


class Extraction:
    """What to extract where.

    `borg` are the two commands, `list` and `extract`, up to the archive's name; `archive` is `::NAME`; `paths` are the
    paths to extract (none: all), `strip` is the number of leading folders left out, `top` an empty folder.
    """

    def __init__(self, borg: dict[str, list[str]], archive: str, paths: list[str], top: str, strip: int = 0) -> None:
        self.borg, self.archive, self.paths, self.top, self.strip = borg, archive, paths, top, strip
        self.list: IO[bytes] = tempfile.TemporaryFile(dir=top)  # noqa: SIM115  # has no name, and goes with the process
        self.warned = Named()
        self.remarks = Named()

    @property
    def patterns(self) -> list[str]:
        """Borg's patterns for the paths and what lies below them."""
        return [f"pp:{path.lstrip('/')}" for path in self.paths]

    def look(self) -> Look:
        """List the archive, keep the list, and return what was found. Raises BorgFailed, Malformed."""
        wanted = [os.fsencode(path.strip("/")) for path in self.paths]
        look = Look(wanted, self.strip, folding=os.path.lexists(_swapped(self.top)))
        words = [*self.borg["list"], f"--format={FORMAT}", self.archive, "--", *self.patterns]
        listing = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert listing.stdout is not None
        try:
            for entry in entries(_Copied(listing.stdout, self.list)):
                look.see(entry)
        except Malformed:
            listing.kill()
            raise
        finally:
            listing.stdout.close()
            code = listing.wait()
        _require(code)
        return look

    def extract(self, writable: list[str], options: list[str]) -> None:
        """Run borg. Raises NoSpace as soon as the space is used up, BorgFailed."""
        strip = [f"--strip-components={self.strip}"] if self.strip else []
        words = [*self.borg["extract"], *options, *strip, self.archive, "--", *self.patterns]
        before = (lambda: enter([self.top, *writable], list(OUTPUT))) if version() else None
        reader = subprocess.Popen(  # this program has one thread
            words,
            cwd=self.top,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=before,  # noqa: PLW1509  # this program has one thread
        )
        assert reader.stderr is not None
        try:
            for line in reader.stderr:
                if not self._heard(line):
                    sys.stderr.buffer.write(line)
                    sys.stderr.flush()
        except NoSpace:
            reader.kill()
            raise
        finally:
            reader.stderr.close()
            code = reader.wait()
        _require(code)

    def _heard(self, line: bytes) -> bool:
        """Process a warning; return whether the line needs no further handling. Raises NoSpace."""
        level, text = _message(line)
        if level not in ("WARNING", "ERROR") or PASSING.match(text):
            return level == "WARNING"
        words = shown(text.encode("utf-8", "surrogateescape"))
        if ATTRIBUTE.search(text):
            self.remarks.add(words)
            return True
        self.warned.add(words)
        if NO_SPACE.search(text) and (level == "WARNING" or "extract_item" in text):  # or the storage is full
            raise NoSpace(shown(text.strip().rpartition("\n")[2].encode("utf-8", "surrogateescape")))
        return level == "WARNING"

    def compare(self, *, harmless: bool) -> Comparison:
        """Compare the folder with the list; with `harmless`, remove what gives programs rights of root."""
        self.list.seek(0)
        found = Comparison(os.fsencode(self.top), self.strip, harmless=harmless)
        for entry in entries(self.list):
            found.see(entry)
        return found


class Comparison:
    """`expected` entries were listed; `lacking` of them are missing or wrong, `unowned` have another user or group."""

    def __init__(self, top: bytes, strip: int, *, harmless: bool) -> None:
        self.top, self.strip, self.harmless = top, strip, harmless
        self.expected = 0
        self.uncounted = 0
        self.lacking: dict[bytes, str] = {}
        self.disarmed = Named()
        self.unowned = Named()
        self._found = Found(top)
        self._taken: set[bytes] = set()  # files matched to a listed name that is not UTF-8

    @property
    def lost(self) -> int:
        """The number of entries that are missing or incomplete."""
        return len(self.lacking) + self.uncounted

    @property
    def first(self) -> list[str]:
        """The first of them, with the reasons."""
        return [f"{shown(path)}: {why}" for path, why in list(self.lacking.items())[:NAMED]]

    def see(self, entry: Entry) -> None:
        """Check one entry. Of an entry that the archive has twice, the last one counts."""
        kept = stripped(entry.path, self.strip)
        if not kept:
            return
        self.expected += 1
        why = self._why(entry, kept)
        if not why:
            self.lacking.pop(entry.path, None)
        elif len(self.lacking) < KEPT or entry.path in self.lacking:
            self.lacking[entry.path] = why
        else:
            self.uncounted += 1

    def _why(self, entry: Entry, kept: bytes) -> str:
        """Return why an entry is missing or wrong; empty if it is right."""
        why = str(os.strerror(errno.ENOENT))
        for place in self._found.all(kept):
            if place in self._taken:
                continue
            why = self._fault(entry, place)
            if not why:
                if not place.endswith(kept):
                    self._taken.add(place)
                return ""
        return why

    def _fault(self, entry: Entry, path: bytes) -> str:
        try:
            status = os.lstat(path)
        except PermissionError:
            return ""  # in a folder whose own mode denies its owner access
        except OSError as error:
            return str(error.strerror)
        if stat.S_IFMT(status.st_mode) != FORMATS[entry.kind]:
            return "something else of that name came"
        if entry.owner not in (None, (status.st_uid, status.st_gid)):
            self.unowned.add(f"{shown(entry.path)} ({':'.join(map(str, entry.owner or ()))})")
        if entry.kind != ord("-"):
            return ""
        if not entry.linked and status.st_size != entry.size:
            return f"{status.st_size} of {entry.size} bytes"
        if self.harmless:
            self._disarm(path, status)
        return ""

    def _disarm(self, path: bytes, status: os.stat_result) -> None:
        """Remove the setuid and setgid bits and capabilities of a file."""
        taken = bool(status.st_mode & (stat.S_ISUID | stat.S_ISGID))
        if taken:
            Path(os.fsdecode(path)).chmod(stat.S_IMODE(status.st_mode) & 0o1777)
        with suppress(OSError, AttributeError):
            os.removexattr(path, CAPABILITY, follow_symlinks=False)
            taken = True
        if taken:
            self.disarmed.add(shown(path[len(self.top) :]))


class _Copied:
    """A stream whose bytes are copied to another one as they are read."""

    def __init__(self, stream: IO[bytes], copy: IO[bytes]) -> None:
        self.stream, self.copy = stream, copy

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        try:
            self.copy.write(piece)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace("for the archive's list") from None
            raise
        return piece


def _swapped(top: str) -> str:
    """Return a folder's path with its own name in the other case: it exists if the file system ignores case."""
    return str(Path(top).with_name(Path(top).name.swapcase()))


def _require(code: int) -> None:
    if code not in (0, 1) and not 100 <= code < 127:
        raise BorgFailed(code if code > 0 else 128 - code)


def _message(line: bytes) -> tuple[str, str]:
    """Return level and text of a log line of borg's; empty for any other line."""
    start = line.find(b'{"')
    if start < 0 or b'"log_message"' not in line:
        return "", ""
    try:
        values: Any = json.loads(line[start:])
        return str(values["levelname"]), str(values["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""
