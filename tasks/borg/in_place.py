"""Puts files back on a host. Runs there by `python3 -c`, so: standard library only, Python 3.8 or later.

Input is the environment variable CLOUDBACKUP_PLAN, a JSON object with `stamp`, `items` (each with the `path` to
replace, the `bytes` to come and the borg `words` that extract it into the working directory) or, for a new folder,
`directory`, `bytes` and `words`. Output is one JSON object: `moved` (path to where the old data is now), `refused` with
the reason, or `stuck` when a change could not be taken back. When borg fails, its exit code is the program's, and
nothing was changed.

Old data is moved aside, never overwritten: `/srv/shop` to `/srv/shop.before-restore-<stamp>`. The new data is
extracted beside it first, on the same file system, so that the change itself is two renames. A mount point cannot be
renamed: its contents go to the folder `.before-restore-<stamp>` in it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035  # for the Python that a host has

SPARE = 16 << 20  # bytes that must be free beyond the data


class Refused(Exception):  # noqa: N818  # an answer rather than an error
    """Nothing was changed, for the reason given."""


class Unusable(Refused):
    """The folder that was named is none to restore into: another one is to be named."""


class Stuck(Exception):  # noqa: N818
    """A fault came during the change, and another one while it was taken back."""


class BorgFailed(Exception):  # noqa: N818
    """Borg ended with the exit code given."""


def main() -> None:
    """Do what the plan says and print the outcome."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = json.loads(os.environ["CLOUDBACKUP_PLAN"])
    try:
        moved = into_new(plan) if "directory" in plan else replace_all(plan)
    except Refused as reason:
        print(json.dumps({"refused": str(reason), "unusable": isinstance(reason, Unusable)}))
    except Stuck as reason:
        print(json.dumps({"stuck": str(reason)}))
    except BorgFailed as failure:
        sys.exit(failure.args[0])
    except OSError as error:
        print(json.dumps({"refused": f"{error.filename}: {error.strerror}"}))
    else:
        print(json.dumps({"moved": moved}))


def into_new(plan: dict[str, Any]) -> dict[str, str]:
    """Extract into a folder that is not there yet, or empty."""
    directory = Path(plan["directory"])
    if there(directory) and not directory.is_dir():
        raise Unusable(f"{directory} is no folder")
    if directory.is_dir() and any(directory.iterdir()):
        raise Unusable(f"{directory} is not empty")
    check_space([(directory, plan["bytes"])])
    directory.mkdir(parents=True, exist_ok=True)
    extract(plan["words"], directory)
    return {}


def replace_all(plan: dict[str, Any]) -> dict[str, str]:
    """Extract all beside the old data, then change all places, or none."""
    places = [Place(item, plan["stamp"]) for item in plan["items"]]
    for place in places:
        place.check()
    check_space([(place.staging, place.bytes) for place in places])
    try:
        for place in places:
            place.staging.mkdir(0o700, parents=True)
            extract(place.words, place.staging)
            place.check_fresh()
        with signals_held():
            swap(places)
    finally:
        for place in places:
            shutil.rmtree(place.staging, ignore_errors=True)
    return {str(place.path): str(place.aside) for place in places if there(place.aside)}


def swap(places: list[Place]) -> None:
    """Put the new data in its places; after a fault, everything is as it was."""
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


class Place:
    """One path to replace: an ordinary one by renames in its parent, a mount point by its contents."""

    def __init__(self, item: dict[str, Any], stamp: str) -> None:
        self.path = Path(item["path"])
        self.bytes: int = item["bytes"]
        self.words: list[str] = item["words"]
        self.mounted = self.path.is_mount()
        above, name = (self.path, "") if self.mounted else (self.path.parent, self.path.name)
        self.aside = above / f"{name}.before-restore-{stamp}"
        self.staging = above / f"{name}.restoring-{stamp}"
        self.fresh = self.staging / self.path.name
        self.renames: list[tuple[Path, Path]] = []
        self.old_status: os.stat_result | None = None

    def check(self) -> None:
        """Raise Refused when this place cannot be changed safely."""
        if self.path.parent == self.path:
            raise Refused("/ cannot be replaced while the system runs on it")
        for name in (self.aside, self.staging):
            if there(name):
                raise Refused(f"{name} is there already")
        for mount in mounts():
            if self.path in mount.parents:
                raise Refused(f"a file system is mounted inside {self.path}, at {mount}: unmount it first")
        above = nearest_folder(self.staging.parent)
        if not os.access(above, os.W_OK | os.X_OK):
            raise Refused(f"no right to write in {above}")

    def check_fresh(self) -> None:
        """Raise Refused when what was extracted does not fit."""
        if not there(self.fresh):
            raise Refused(f"the archive holds nothing of {self.path}")
        if self.mounted and not stat.S_ISDIR(self.fresh.lstat().st_mode):
            raise Refused(f"{self.path} is a mount point now, and no folder in the archive")

    def swap(self) -> None:
        """Move the old data aside and the new in."""
        if self.mounted:
            self.swap_contents()
            return
        if there(self.path):
            self.rename(self.path, self.aside)
        self.rename(self.fresh, self.path)

    def swap_contents(self) -> None:
        """Do the same for what lies in a mount point."""
        self.old_status = self.path.stat()
        self.aside.mkdir(0o700)
        for entry in sorted(self.path.iterdir()):
            if entry not in (self.aside, self.staging):
                self.rename(entry, self.aside / entry.name)
        for entry in sorted(self.fresh.iterdir()):
            self.rename(entry, self.path / entry.name)
        dress(self.path, self.fresh.stat())

    def rename(self, old: Path, new: Path) -> None:
        """Rename and remember."""
        old.rename(new)
        self.renames.append((old, new))

    def undo(self) -> None:
        """Bring everything back to where it was."""
        while self.renames:
            old, new = self.renames.pop()
            new.rename(old)
        if self.old_status is not None:
            if self.aside.is_dir():
                self.aside.rmdir()
            dress(self.path, self.old_status)


def there(path: Path) -> bool:
    """Tell whether anything has this name, a dangling link too."""
    return os.path.lexists(path)


def dress(path: Path, status: os.stat_result) -> None:
    """Give a mount point's own folder the owner, mode and time that it should have."""
    if os.geteuid() == 0:
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def extract(words: list[str], directory: Path) -> None:
    """Run borg in a folder; its warnings are for the caller, who reads its standard error."""
    code = subprocess.call(words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if code not in (0, 1) and not 100 <= code < 127:
        raise BorgFailed(code if code > 0 else 128 - code)


def nearest_folder(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that is there."""
    while not path.is_dir():
        path = path.parent
    return path


def check_space(wanted: list[tuple[Path, int]]) -> None:
    """Raise Refused when a file system has less room than all that will come to it."""
    needs: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for path, count in wanted:
        folder = nearest_folder(path)
        device = folder.stat().st_dev
        folders[device] = folder
        needs[device] = needs.get(device, SPARE) + count
    for device, folder in folders.items():
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if free < needs[device]:
            raise Refused(f"{folder} has {free // 10**6} MB free, {needs[device] // 10**6 + 1} MB are needed")


def mounts() -> list[Path]:
    """Return where file systems are mounted."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []
    fields = (line.split()[4] for line in lines)
    return [Path(os.fsdecode(field.decode("unicode_escape").encode("latin-1"))) for field in fields]


@contextmanager
def signals_held() -> Iterator[None]:
    """Let nothing interrupt the block; what came is delivered after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    main()
