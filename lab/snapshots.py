"""Snapshots of a box: made by hand or by a plan, kept as read-only folders, rolled back to.

Of the plan: "Once the slot limit is reached, the oldest snapshot will automatically be deleted as soon as a new
snapshot is created"; of the others: they "are never deleted automatically"
(https://docs.hetzner.com/robot/storage-box/snapshots).

Where they are shown, an account finds them at `.zfs/snapshot/<name>` in its home: a link in the pool that leads to a
folder for each home, whose files are hard links to what the snapshot holds. So one account sees no other's.
"""

import shutil
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from lab.disk import used_by
from lab.jail import SNAPSHOTS
from lab.refusal import Refusal, Values, limit_exceeded

LIMIT = 10  # of the smallest box (BX11): so many by hand, and so many by the plan


class Snapshots:
    """All snapshots of `pool`, kept below `kept`. `homes()` are the accounts' directories in the pool, "" the main one.

    `shown` tells whether accounts see them, `changed()` lets the room hold that they leave. May be used from several
    threads.
    """

    def __init__(self, pool: Path, kept: Path, homes: Callable[[], Iterable[str]], changed: Callable[[], None]) -> None:
        self.plan: Values | None = None
        self._changed = changed
        self.shown = False
        self._pool = pool
        self._kept = kept
        self._homes = homes
        self._known: dict[int, Values] = {}
        self._next = 1
        self._lock = threading.RLock()

    def every(self) -> list[Values]:
        """Return all, oldest first."""
        with self._lock:
            return [self.one(number) for number in self._known]

    def one(self, number: int) -> Values:
        """Return one, as the API has it. Raises Refusal."""
        with self._lock:
            if number not in self._known:
                raise Refusal(404, "not_found", "snapshot not found")
            known = self._known[number]
            sizes = {"size": self._pinned(known), "size_filesystem": used_by(self._whole(known))}
            return {**known, "stats": sizes}

    def pinned(self) -> int:
        """Return the bytes that snapshots hold and the pool no longer does."""
        with self._lock:
            return sum(map(self._pinned, self._known.values()))

    def make(self, values: Values, at: datetime | None = None, *, automatic: bool = False) -> Values:
        """Copy the pool; the name carries the time. Raises Refusal when there are too many made by hand."""
        with self._lock:
            if not automatic and len(self._of(automatic=False)) >= LIMIT:
                raise limit_exceeded("snapshot", "snapshot_limit")
            number, now = self._next, at or datetime.now(UTC)
            self._next += 1
            name = f"{now:%Y-%m-%dT%H-%M-%S}"
            taken = [each["name"] for each in self._known.values()]
            made = {
                "id": number,
                "name": name if name not in taken else f"{name}-{number}",
                "description": values.get("description") or "",
                "is_automatic": automatic,
                "labels": values.get("labels") or {},
                "created": now.isoformat(),
            }
            shutil.copytree(self._pool, self._whole(made), symlinks=True, ignore=self._own_link)
            self._known[number] = made
            self.show()
            self._changed()
            return made

    def drop(self, number: int) -> None:
        """Delete one. Raises Refusal."""
        with self._lock:
            name = self.one(number)["name"]
            del self._known[number]
            for folder in self._kept.glob(f"*/snapshot/{name}"):
                shutil.rmtree(folder)
            self._changed()

    def update(self, number: int, values: Values) -> Values:
        """Change description or labels. Raises Refusal."""
        with self._lock:
            self.one(number)
            self._known[number].update({key: values[key] for key in ("description", "labels") if key in values})
            return self.one(number)

    def begin_plan(self, values: Values) -> None:
        """Turn automatic snapshots on. They are made when `come` says that it is their time."""
        names = ("max_snapshots", "hour", "minute", "day_of_week", "day_of_month")
        self.plan = {name: values.get(name) for name in names}

    def end_plan(self, _: Values) -> None:
        """Turn them off; those there are stay."""
        self.plan = None

    def roll_back(self, values: Values) -> None:
        """Put the pool back to a snapshot (its id or name); newer ones go, as on a real box. Raises Refusal."""
        snapshot = values.get("snapshot")
        with self._lock:
            found = [number for number, each in self._known.items() if snapshot in (number, str(number), each["name"])]
            if not found:
                raise Refusal(404, "not_found", "snapshot not found")
            for entry in self._pool.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            shutil.copytree(self._whole(self._known[found[0]]), self._pool, symlinks=True, dirs_exist_ok=True)
            for number in [number for number in self._known if number > found[0]]:
                self.drop(number)
            self.show()
            self._changed()

    def come(self, now: datetime) -> str | None:
        """Let it be that minute: return the name of the snapshot that the plan makes then, None when none is due.

        The oldest automatic ones beyond what the plan keeps are dropped. A plan's times are in UTC.
        """
        with self._lock:
            if self.plan is None or not due(self.plan, now):
                return None
            made = self.make({}, now, automatic=True)
            for number in self._of(automatic=True)[: -min(self.plan["max_snapshots"], LIMIT)]:
                self.drop(number)
            return str(made["name"])

    def view(self, home: str) -> Path | None:
        """Return the folder that is `.zfs` of an account's home, None where accounts do not see snapshots."""
        return self._folder(home) if self.shown else None

    def show(self) -> None:
        """Make `.zfs` of every home what it has to be now."""
        with self._lock:
            for home in set(self._homes()):
                self._show_in(home)

    def _show_in(self, home: str) -> None:
        link = self._pool / home / SNAPSHOTS
        link.unlink(missing_ok=True)
        if not self.shown:
            return
        folder = self._folder(home)
        (folder / "snapshot").mkdir(parents=True, exist_ok=True)
        for known in self._known.values():
            source, place = self._whole(known) / home, folder / "snapshot" / known["name"]
            if source.is_dir() and not place.exists():
                shutil.copytree(source, place, symlinks=True, copy_function=_hard_link)
        if link.parent.is_dir():
            link.symlink_to(folder)

    def _folder(self, home: str) -> Path:
        return self._kept / (f"sub {quote(home, safe='')}" if home else "main")

    def _whole(self, known: Values) -> Path:
        return self._folder("") / "snapshot" / str(known["name"])

    def _of(self, *, automatic: bool) -> list[int]:
        return [number for number, each in self._known.items() if each["is_automatic"] is automatic]

    def _own_link(self, folder: str, _: list[str]) -> list[str]:
        return [SNAPSHOTS] if Path(folder, SNAPSHOTS).is_symlink() else []

    def _pinned(self, known: Values) -> int:
        folder, total = self._whole(known), 0
        for file in folder.rglob("*"):
            if file.is_symlink() or not file.is_file():
                continue
            about, live = file.stat(), self._pool / file.relative_to(folder)
            now = live.stat() if live.is_file() else None
            if now is None or (now.st_size, now.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
                total += about.st_size
        return total


def due(plan: Values, now: datetime) -> bool:
    """Tell whether a plan makes a snapshot in the minute of `now`; a day that it leaves open is any day."""
    moment = {
        "hour": now.hour,
        "minute": now.minute,
        "day_of_week": now.isoweekday(),
        "day_of_month": now.day,
    }
    return all(plan[name] in (None, value) for name, value in moment.items())


def _hard_link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)
