"""Paths as an account sees them (its home is `/home`) and where they lie on this machine."""

import errno
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

VISIBLE_HOME = "/home"
# Names that the jail's own skeleton holds, so an account cannot make them at its top level.
SKELETON = ("etc", "lib")
# The name in a home that leads to the snapshots, where they are shown.
SNAPSHOTS = ".zfs"


@dataclass(frozen=True)
class Jail:
    """An account's home, and its `snapshots` where they are shown; nothing else has a name in there."""

    home: Path
    snapshots: Path | None = None

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
        """As `locate_changed`, for a name about to be made. Raises PermissionError also for a name of the skeleton."""
        if self.relative(visible) in SKELETON:
            raise PermissionError(errno.EACCES, "Permission denied", visible)
        return self.locate_changed(visible)

    def locate_changed(self, visible: str, follow: bool = True) -> Path:
        """As `locate`, for something about to be changed. Raises OSError for a snapshot, which nobody can change."""
        path = self.locate(visible, follow)
        judged = path if follow or path == self.home else path.parent
        if self.relative(visible) == SNAPSHOTS or (self.snapshots is not None and _below(judged, self.snapshots)):
            raise OSError(errno.EROFS, "Read-only file system", visible)
        return path

    def holds(self, path: Path) -> bool:
        """Whether the real place of `path` is in the home or in the snapshots."""
        return _below(path, self.home) or (self.snapshots is not None and _below(path, self.snapshots))

    def show(self, path: Path) -> str:
        """Return the account's name of a place on this machine. Raises PermissionError for one outside."""
        shown = {VISIBLE_HOME: self.home, f"{VISIBLE_HOME}/{SNAPSHOTS}": self.snapshots}
        for name, folder in shown.items():
            if folder is not None and _below(path, folder):
                rest = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
                return name if rest == "." else posixpath.join(name, rest)
        raise PermissionError(errno.EACCES, "Permission denied")


def _below(path: Path, folder: Path) -> bool:
    """Whether the real place of `path` is the folder or below it."""
    real, top = os.path.realpath(path), os.path.realpath(folder)
    return real == top or real.startswith(top + os.sep)
