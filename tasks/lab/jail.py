"""Paths as an account sees them (its home is `/home`) and where they lie on this machine."""

import errno
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

VISIBLE_HOME = "/home"
# Names that the jail's own skeleton holds, so an account cannot make them at its top level.
SKELETON = ("etc", "lib")


@dataclass(frozen=True)
class Jail:
    """An account's home; nothing outside it has a name in there."""

    home: Path

    def relative(self, visible: str) -> str:
        """Return a path below the home as text without `.` and `..`, `.` for the home itself.

        Raises PermissionError for a path outside, also one that climbs out by `..`.
        """
        whole = posixpath.normpath(posixpath.join(VISIBLE_HOME, visible))
        if whole == VISIBLE_HOME:
            return "."
        if not whole.startswith(VISIBLE_HOME + "/"):
            raise PermissionError(errno.EACCES, "Permission denied", visible)
        return whole[len(VISIBLE_HOME) + 1 :]

    def locate(self, visible: str, follow: bool = True) -> Path:
        """Return where `visible` lies. `follow=False` names a symbolic link itself.

        Raises PermissionError when the path, or what its symbolic links lead to, is outside.
        """
        relative = self.relative(visible)
        path = self.home if relative == "." else self.home / relative
        judged = path if follow or path == self.home else path.parent
        if not self.holds(judged):
            raise PermissionError(errno.EACCES, "Permission denied", visible)
        return path

    def locate_new(self, visible: str) -> Path:
        """As `locate`, for a name about to be made. Raises PermissionError also for a name of the skeleton."""
        if self.relative(visible) in SKELETON:
            raise PermissionError(errno.EACCES, "Permission denied", visible)
        return self.locate(visible)

    def holds(self, path: Path) -> bool:
        """Whether the real place of `path` is the home or below it."""
        real, home = os.path.realpath(path), os.path.realpath(self.home)
        return real == home or real.startswith(home + os.sep)

    def show(self, path: Path) -> str:
        """Return the account's name of a place on this machine. Raises PermissionError for one outside."""
        real, home = os.path.realpath(path), os.path.realpath(self.home)
        if real == home:
            return VISIBLE_HOME
        if not real.startswith(home + os.sep):
            raise PermissionError(errno.EACCES, "Permission denied")
        return posixpath.join(VISIBLE_HOME, real[len(home) + 1 :])
