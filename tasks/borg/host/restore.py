"""Restores an archive's files on a host: all of them as they were saved, or none. Runs alone on a host.

Input is the environment variable CLOUDBACKUP_PLAN, a JSON object with `list` and `extract` (borg commands up to the
archive), `archive` (`::NAME`), `paths` (absolute; none: all), `trusted` (restore devices, setuid bits and
capabilities), `walled` (only behind a wall of the kernel), and either `stamp`, to replace the paths in place, or
`directory`, a new or empty folder, with `private` if only its owner may read it. With `partial`, paths of which the
archive holds nothing stay as they are. Those of `containers` that have a path mounted are stopped while it is replaced.

Output is one JSON object: `moved` (path to where its old data is now), `entries`, `bytes`, `absent` (paths that the
archive does not hold), `remarks`, `disarmed` and `unstarted` (texts) and `wall`. Otherwise it has `kind` and `reason`
of a refusal or failure, and `left`, folders of ours that could not be removed. If borg fails, its exit code is the
program's, and nothing was changed.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.borg.host.entries import Look, Malformed, Named
from tasks.borg.host.extraction import BorgFailed, Extraction, NoSpace
from tasks.borg.host.free_space import require_room
from tasks.borg.host.places import (
    FIXED,
    Place,
    Refused,
    Stuck,
    Unusable,
    flags,
    groups,
    new_folder,
    remove,
    set_flags,
    signals_held,
    stage,
    swap,
    there,
)
from tasks.containers.host.standstill import Stands, Standstill
from tasks.remote.landlock import version

INCOMPLETE = "incomplete"  # folder for the part that was extracted, in the target of a failed restore
DISTRUSTED = ["--noflags"]  # an immutable file is hard to delete


class Hostile(Refused):
    """The archive was not made by `borg create`."""


class Unwalled(Refused):
    """The kernel provides no wall for an archive without a record."""


class Lost(Refused):
    """Not everything in the archive was extracted."""


class Full(Lost):
    """The file system, or its quota, is full; nothing that was extracted is kept."""


KINDS = {Unusable: "unusable", Unwalled: "unwalled", Hostile: "hostile", Lost: "lost", Full: "full", Stuck: "stuck"}


class Restore:
    """One run: what was extracted so far, and our temporary folders."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.staged: list[Path] = []
        self.looks: list[Look] = []
        self.remarks: list[str] = []
        self.disarmed: list[str] = []
        self.unstarted: list[str] = []

    def into_new(self) -> dict[str, str]:
        """Extract into a new or empty folder."""
        directory = Path(self.plan["directory"])
        require_empty(directory)
        new = not directory.exists()
        directory.mkdir(0o700, parents=True, exist_ok=True)
        try:
            if self.plan.get("private"):
                directory.chmod(0o700)
            self.staged.append(new_folder(directory))
            extraction = self.looked_at(self.staged[0], self.plan["paths"], 0)
            require_room([(self.staged[0], self.looks[0])])
            try:
                self.extracted(extraction)
            except (Lost, BorgFailed):
                keep(self.staged[0], directory / INCOMPLETE)
                raise
            move_up(self.staged[0], directory)
        except BaseException:
            self.clear()
            if new:
                with suppress(OSError):
                    directory.rmdir()
            raise
        return {}

    def in_place(self) -> dict[str, str]:
        """Extract everything next to the old data, then replace all paths, or none."""
        every = [Place(path, self.plan["stamp"]) for path in self.plan["paths"]]
        for place in every:
            place.check()
        extractions = []
        for group in groups(every):
            staging, strip = stage(group)
            self.staged.append(staging)
            extractions.append(self.looked_at(staging, [str(place.path) for place in group], strip))
        require_room(list(zip(self.staged, self.looks)))  # noqa: B905  # Python 3.8
        absent = self.absent
        if len(absent) == len(every):
            raise Refused(f"the archive holds nothing of {', '.join(absent)}")
        for extraction in extractions:
            if extraction.paths:
                self.extracted(extraction)
        coming = [place for place in every if str(place.path) not in absent]
        for place in coming:
            place.check_fresh()
        self.remarks += sorted(
            {f"{place.above} was not there, and is new" for place in coming if not there(place.above)}
        )
        still = Standstill(self.plan.get("containers") or [], [str(place.path) for place in coming])
        with signals_held():
            try:
                still.begin()
            except Stands as why:
                raise Refused(str(why)) from None
            try:
                swap(coming)
            finally:
                still.end()
                self.unstarted += still.remarks
        return {str(place.path): str(place.aside) for place in coming if there(place.aside)}

    @property
    def absent(self) -> list[str]:
        """The paths of which the archive holds nothing."""
        found = {path for look in self.looks for path in look.found}
        return [path for path in self.plan["paths"] if os.fsencode(path.strip("/")) not in found]

    def looked_at(self, staging: Path, paths: list[str], strip: int) -> Extraction:
        """Return the extraction with the findings about its entries. Raises Hostile, Refused."""
        borg = {"list": self.plan["list"], "extract": self.plan["extract"]}
        extraction = Extraction(borg, self.plan["archive"], paths, str(staging), strip)
        look = extraction.look()
        self.looks.append(look)
        if look.hostile.count:
            raise Hostile(f"it holds {counted(look.hostile, 'entry', 'entries')}; no backup makes such")
        if look.devices.count and not self.plan["trusted"]:
            raise Hostile(f"it holds {counted(look.devices, 'device', 'devices')}")
        extraction.paths = [path for path in paths if os.fsencode(path.strip("/")) in look.found]
        missing = [path for path in paths if path not in extraction.paths]
        if (missing and not self.plan.get("partial")) or (not paths and not look.count):
            raise Refused(f"the archive holds nothing of {', '.join(missing) or 'anything'}")
        if look.parted.count:
            self.remarks.append(
                f"{look.parted.count} hard links to files outside of what came are files of their own now,"
                f" first {look.parted.first[0]}"
            )
        return extraction

    def extracted(self, extraction: Extraction) -> None:
        """Extract and compare. Raises Lost, Full, BorgFailed."""
        trusted = bool(self.plan["trusted"])
        try:
            extraction.extract(writable(), [] if trusted else DISTRUSTED)
        except NoSpace as full:
            remove(Path(extraction.top))
            raise Full(f"the file system or its quota is full: {full}") from None
        compared = extraction.compare(harmless=not trusted)
        if compared.lost:
            first = "; ".join(extraction.warned.first or compared.first)
            raise Lost(f"{compared.expected - compared.lost} of {compared.expected} entries came whole: {first}")
        if extraction.warned.count:
            raise Lost(f"borg warned of {counted(extraction.warned, 'fault', 'faults')}")
        if extraction.remarks.count:
            self.remarks.append(f"not all attributes could be set: {counted(extraction.remarks, 'entry', 'entries')}")
        if compared.unowned.count:  # borg says nothing of it
            why = "not all owners could be set" if os.geteuid() == 0 else "owners were not set, which root alone may do"
            self.remarks.append(f"{why}: {counted(compared.unowned, 'entry', 'entries')}")
        if compared.disarmed.count:
            self.disarmed.append(counted(compared.disarmed, "file", "files"))

    def clear(self) -> list[str]:
        """Remove our folders; return those that cannot be removed."""
        return [str(folder) for folder in self.staged if not remove(folder)]

    @property
    def outcome(self) -> dict[str, Any]:
        """The output of a successful restore."""
        return {
            "entries": sum(look.count for look in self.looks),
            "bytes": sum(look.bytes for look in self.looks),
            "absent": self.absent,
            "remarks": self.remarks,
            "disarmed": self.disarmed,
            "unstarted": self.unstarted,
            "wall": "landlock" if version() else "",
        }


def main() -> None:
    """Carry out the plan and print the result."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    restore = Restore(json.loads(os.environ["CLOUDBACKUP_PLAN"]))
    told: dict[str, Any]
    code = 0
    try:
        if restore.plan["walled"] and not version():
            raise Unwalled("no record knows it, and the kernel has no wall (Landlock) that keeps it to its folder")
        moved = restore.into_new() if "directory" in restore.plan else restore.in_place()
        told = {"moved": moved, **restore.outcome}
    except (Refused, Stuck) as reason:
        told = {"kind": KINDS.get(type(reason), "refused"), "reason": str(reason)}
    except Malformed as fault:
        told = {"kind": "hostile", "reason": f"borg's listing of it cannot be read: {fault}"}
    except BorgFailed as failure:
        told, code = {}, failure.args[0]
    except NoSpace as full:
        told = {"kind": "full", "reason": f"the file system or its quota is full: {full}"}
    except OSError as error:
        told = {"kind": "refused", "reason": explained(error)}
    finally:
        left = restore.clear()
    if told:
        print(json.dumps({**told, "left": left}))
    sys.exit(code)


def counted(named: Named, one: str, many: str) -> str:
    """Return the count in words, with the first names."""
    return f"{named.count} {one if named.count == 1 else many}: {'; '.join(named.first)}"


def explained(error: OSError) -> str:
    """Describe an error, with a remedy if an immutable file caused it."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(error.filename)
    if error.errno == errno.EPERM and flags(Path(name)) & FIXED:
        return f"{name} is immutable (chattr +i or +a): `chattr -i -a {shlex.quote(name)}` first"
    return f"{name}: {error.strerror}"


def require_empty(directory: Path) -> None:
    """Raise Unusable if the path is not an empty folder."""
    if there(directory) and not directory.is_dir():
        raise Unusable(f"{directory} is not a folder")
    if directory.is_dir() and any(directory.iterdir()):
        raise Unusable(f"{directory} is not empty")


def keep(staging: Path, place: Path) -> None:
    """Keep what was extracted of an incomplete archive, under a name that says so."""
    if there(staging) and any(staging.iterdir()):
        staging.rename(place)


def move_up(staging: Path, directory: Path) -> None:
    """Move the extracted entries into the target itself; the temporary name is not used in the archive."""
    held = directory / f"{staging.name}.{os.getpid()}"
    staging.rename(held)
    for entry in sorted(held.iterdir()):
        fixed = flags(entry)
        if fixed & FIXED:
            set_flags(entry, fixed & ~FIXED)
        entry.rename(directory / entry.name)
        if fixed & FIXED:
            set_flags(directory / entry.name, fixed)
    held.rmdir()


def writable() -> list[str]:
    """Return the folders other than its target that borg must write to: cache, configuration, a local repository.

    Their paths follow `helpers/fs.py` of borg 1.2 and 1.4.
    """
    given = os.environ.get
    base = given("BORG_BASE_DIR")
    home = Path(base) if base else Path.home()
    folders = []
    for name, default in (("CACHE", ".cache"), ("CONFIG", ".config")):
        above = (not base and given(f"XDG_{name}_HOME")) or home / default
        folders.append(given(f"BORG_{name}_DIR") or str(Path(above) / "borg"))
    others = [given(name, "") for name in ("BORG_SECURITY_DIR", "BORG_KEYS_DIR")]
    repository = given("BORG_REPO", "").replace("file://", "", 1)
    return [*folders, *filter(None, others), *([repository] if repository.startswith("/") else [])]


if __name__ == "__main__":
    main()
