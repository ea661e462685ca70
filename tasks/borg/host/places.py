"""The paths that a restore replaces, the space that it needs, and the replacement itself: all paths, or none.

Old data is moved aside, never overwritten: `/srv/shop` to `/srv/shop.before-restore-<stamp>`. New data is first
extracted next to it, on the same file system, so that the replacement is two renames. A mount point cannot be renamed:
its contents are moved to the folder `.before-restore-<stamp>` in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import shutil
import signal
import stat
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator  # for the host's own Python

SPARE = 16 << 20  # bytes to leave free beyond the data
SPARE_INODES = 16
PATH_MAX = 4096  # maximum length of a path in bytes on Linux, with the final NUL
_LONG = struct.calcsize("l")
GET_FLAGS, SET_FLAGS = 2 << 30 | _LONG << 16 | 0x6601, 1 << 30 | _LONG << 16 | 0x6602  # ioctl_iflags(2)
FIXED = 0x10 | 0x20  # immutable, append only: chattr +i, +a


class Refused(Exception):  # noqa: N818  # an answer rather than an error
    """Refused for the given reason, before anything was changed."""


class Unusable(Refused):
    """The given folder cannot be used as a target; another one must be given."""


class Stuck(Exception):  # noqa: N818
    """The replacement failed, and so did undoing it."""


class Place:
    """One path to replace: by renames in its parent folder, or, if it is a mount point, by moving its contents.

    `fresh` is its new data; `above` is the folder in which renames happen.
    """

    def __init__(self, path: str, stamp: str) -> None:
        self.path = Path(path)
        self.mounted = is_mount(self.path)
        self.above, name = (self.path, "") if self.mounted else (self.path.parent, self.path.name)
        self.aside = self.above / f"{name}.before-restore-{stamp}"
        self.staging = self.fresh = Path()  # until staged
        self.renames: list[tuple[Path, Path]] = []
        self.old_status: os.stat_result | None = None
        self.flags = 0

    def check(self) -> None:
        """Raise Refused if this path cannot be replaced safely."""
        if self.path.parent == self.path:
            raise Refused("/ cannot be replaced while the system runs on it")
        if there(self.aside):
            raise Refused(f"{self.aside} is there already")
        for mount in mounts():
            if self.path in mount.parents:
                raise Refused(f"a file system is mounted inside {self.path}, at {mount}: unmount it first")
        above = nearest_folder(self.above)
        for folder in (above, self.path):
            if flags(folder) & FIXED:
                raise Refused(
                    f"{folder} is immutable (chattr +i or +a): `chattr -i -a {shlex.quote(str(folder))}` first"
                )
        if not os.access(above, os.W_OK | os.X_OK):
            raise Refused(f"no right to write in {above}")

    def check_fresh(self) -> None:
        """Raise Refused if the extracted data does not fit the path."""
        if not there(self.fresh):
            raise Refused(f"the archive holds nothing of {self.path}")
        if self.mounted and not stat.S_ISDIR(self.fresh.lstat().st_mode):
            raise Refused(f"{self.path} is a mount point now, and not a folder in the archive")
        self.flags = flags(self.fresh)
        if self.flags & FIXED:  # such a path could not be moved into place
            set_flags(self.fresh, self.flags & ~FIXED)

    def swap(self) -> None:
        """Move the old data aside and the new in."""
        if self.mounted:
            self.swap_contents()
        elif not same_link(self.path, self.fresh):
            self.above.mkdir(parents=True, exist_ok=True)
            if there(self.path):
                self.rename(self.path, self.aside)
            self.rename(self.fresh, self.path)

    def finish(self) -> None:
        """Set the immutable and append-only flags again that were saved."""
        if self.flags & FIXED:
            set_flags(self.path, self.flags)

    def swap_contents(self) -> None:
        """Do the same with the contents of a mount point."""
        self.old_status = self.path.stat()
        self.aside.mkdir(0o700)
        for entry in sorted(self.path.iterdir()):
            if entry not in (self.aside, self.staging):
                self.rename(entry, self.aside / entry.name)
        for entry in sorted(self.fresh.iterdir()):
            self.rename(entry, self.path / entry.name)
        dress(self.path, self.fresh.stat())

    def rename(self, old: Path, new: Path) -> None:
        """Rename, and remember it for `undo`."""
        old.rename(new)
        self.renames.append((old, new))

    def undo(self) -> None:
        """Move everything back."""
        while self.renames:
            old, new = self.renames.pop()
            new.rename(old)
        if self.old_status is not None:
            if self.aside.is_dir():
                self.aside.rmdir()
            dress(self.path, self.old_status)


def swap(places: list[Place]) -> None:
    """Put the new data in place; on failure, everything is put back as it was."""
    begun = []
    try:
        for place in places:
            begun.append(place)
            place.swap()
    except OSError as fault:
        try:
            for place in reversed(begun):
                place.undo()
        except OSError as error:
            where = ", ".join(f"{place.path} in {place.aside}" for place in begun)
            raise Stuck(f"{fault}; then {error}; look for the old data of {where}") from error
        raise
    for place in places:
        with suppress(OSError):
            place.finish()


def groups(places: list[Place]) -> list[list[Place]]:
    """Group the paths by mounted file system, so that renames work within each group."""
    found: dict[Path, list[Place]] = {}
    for place in places:
        found.setdefault(mount_point(nearest_folder(place.above)), []).append(place)
    return list(found.values())


def stage(group: list[Place]) -> tuple[Path, int]:
    """Create a folder for the new data of a group; return it and the number of leading folders to strip from each path.

    Its name is short, so that paths which fit in their old place also fit below it.
    """
    parents = [place.path.parent for place in group]
    common = Path(os.path.commonpath(parents))
    beside = min((nearest_folder(place.above) for place in group), key=lambda path: len(bytes(path)))
    staging = new_folder(beside)
    for place in group:
        place.staging, place.fresh = staging, staging / place.path.relative_to(common)
    return staging, len(common.parts) - 1


def new_folder(beside: Path) -> Path:
    """Create a folder that only we can read. Raises OSError."""
    for number in range(100):
        folder = beside / f".cb{number}"
        with suppress(FileExistsError):
            folder.mkdir(0o700)
            return folder
    raise FileExistsError(errno.EEXIST, "too many folders of restores that were killed", str(beside / ".cb0"))


def remove(folder: Path) -> bool:
    """Remove a folder of ours, including immutable files; return whether it is gone."""

    def again(act: Any, path: str, _error: Any) -> None:
        for each in (Path(path), Path(path).parent):
            with suppress(OSError):
                set_flags(each, flags(each) & ~FIXED)
        with suppress(OSError):
            shutil.rmtree(path) if act is os.rmdir else act(path)

    if there(folder):
        shutil.rmtree(folder, onerror=again)
    return not there(folder)


def same_link(one: Path, other: Path) -> bool:
    """Return whether both are links with the same target: such a link is left alone, as a system may depend on it."""
    return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)


def there(path: Path) -> bool:
    """Return whether anything has this name, including a dangling link."""
    return os.path.lexists(path)


def flags(path: Path) -> int:
    """Return the chattr flags of a file or folder; 0 if there are none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) and not stat.S_ISDIR(path.lstat().st_mode):
            return 0
        place = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        return int(struct.unpack("=l", fcntl.ioctl(place, GET_FLAGS, b"\0" * 8)[:4])[0])
    except OSError:
        return 0
    finally:
        os.close(place)


def set_flags(path: Path, flags: int) -> None:
    """Set chattr flags. Raises OSError."""
    place = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.ioctl(place, SET_FLAGS, struct.pack("=q", flags))
    finally:
        os.close(place)


def dress(path: Path, status: os.stat_result) -> None:
    """Set owner, mode and time of a mount point's own folder as saved."""
    if os.geteuid() == 0:
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def nearest_folder(path: Path) -> Path:
    """Return `path`, or its nearest existing parent folder."""
    while not path.is_dir():
        path = path.parent
    return path


def mount_point(folder: Path) -> Path:
    """Return the mount point of a folder's file system."""
    folder = folder.resolve()
    points = set(mounts())
    while not folder.is_mount() and folder not in points:
        folder = folder.parent
    return folder


def is_mount(path: Path) -> bool:
    """Return whether something is mounted there; a folder of the same file system counts, as it cannot be renamed."""
    return path.is_mount() or (not path.is_symlink() and path.parent.resolve() / path.name in mounts())


def mounts() -> list[Path]:
    """Return all mount points."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []
    fields = (line.split()[4] for line in lines)
    return [Path(os.fsdecode(field.decode("unicode_escape").encode("latin-1"))) for field in fields]


@contextmanager
def signals_held() -> Iterator[None]:
    """Block signals during the block; pending ones are delivered afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
