"""What Hetzner's API knows and changes of an emulated box: switches, sub-accounts, snapshots of the pool."""

import shutil
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.lab.accounts import Account
from tasks.lab.disk import used_by

Values = dict[str, Any]
SWITCHES = ("reachable_externally", "samba_enabled", "ssh_enabled", "webdav_enabled")
SUBACCOUNTS, SNAPSHOTS = 100, 10  # of the smallest box (BX11)
BOX_ID = 4242


class Refusal(Exception):  # noqa: N818  # an answer, not a fault
    """The API's error answer: HTTP status, code, message."""

    def __init__(self, status: int, code: str, message: str, details: Values | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details or {}


class Estate:
    """The box. `accounts` is the server's own, main account first; `changed()` makes a new state hold."""

    id = BOX_ID

    def __init__(
        self,
        pool: Path,
        kept: Path,
        accounts: MutableMapping[str, Account],
        size: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._kept = kept
        self._accounts = accounts
        self._size = size
        self._changed = changed
        self._main = next(iter(accounts))
        self._switches = {**dict.fromkeys(SWITCHES, False), "zfs_enabled": False, "reachable_externally": True}
        self._plan: Values | None = None
        self._snapshots: dict[int, Values] = {}
        self._subaccounts: dict[int, Values] = {}
        self._next = 1
        for name in list(accounts)[1:]:
            self._enter(accounts[name], {})

    @property
    def reachable(self) -> bool:
        """Whether the box is reachable from outside."""
        return self._switches["reachable_externally"]

    def pinned(self) -> int:
        """Return the bytes that snapshots hold and the pool no longer does."""
        return sum(self._pinned(number) for number in self._snapshots)

    def box(self) -> Values:
        """Return the box as the API has it."""
        data, pinned = used_by(self._pool), self.pinned()
        return {
            "id": self.id,
            "name": "lab-box",
            "username": self._main,
            "status": "active",
            "server": "127.0.0.1",
            "system": "FSN1-BX1",
            "location": {"id": 1, "name": "fsn1"},
            "storage_box_type": {
                "id": 1333,
                "name": "bx11",
                "description": "BX11",
                "size": self._size(),
                "snapshot_limit": SNAPSHOTS,
                "automatic_snapshot_limit": SNAPSHOTS,
                "subaccounts_limit": SUBACCOUNTS,
                "prices": [],
                "deprecation": None,
            },
            "access_settings": {**self._switches, "ssh_enabled": self._accounts[self._main].ssh_enabled},
            "stats": {"size": data + pinned, "size_data": data, "size_snapshots": pinned},
            "snapshot_plan": self._plan,
            "protection": {"delete": True},
            "labels": {},
            "created": "2026-01-01T00:00:00Z",
        }

    def switch(self, values: Values) -> None:
        """Change access settings of the box."""
        self._switches |= {key: value for key, value in values.items() if key in self._switches}
        if "ssh_enabled" in values:
            main = self._accounts[self._main]
            self._accounts[self._main] = replace(main, ssh_enabled=values["ssh_enabled"])
        self._changed()

    def plan(self, values: Values) -> None:
        """Turn automatic snapshots on; the emulator makes none by itself."""
        self._plan = {
            key: values.get(key) for key in ("max_snapshots", "hour", "minute", "day_of_week", "day_of_month")
        }

    def no_plan(self, _: Values) -> None:
        """Turn them off."""
        self._plan = None

    def snapshots(self) -> list[Values]:
        """Return all snapshots, oldest first."""
        return [self.snapshot(number) for number in self._snapshots]

    def snapshot(self, number: int) -> Values:
        """Return one. Raises Refusal."""
        if number not in self._snapshots:
            raise Refusal(404, "not_found", "snapshot not found")
        pinned, whole = self._pinned(number), used_by(self._kept / str(number))
        return {**self._snapshots[number], "stats": {"size": pinned, "size_filesystem": whole}}

    def make_snapshot(self, values: Values) -> Values:
        """Copy the pool. Names carry the time, as the real ones do."""
        if len(self._snapshots) >= SNAPSHOTS:
            limits = {"limits": [{"name": "snapshot_limit"}]}
            raise Refusal(403, "resource_limit_exceeded", "snapshot limit exceeded", limits)
        number, now = self._take(), datetime.now(UTC)
        shutil.copytree(self._pool, self._kept / str(number), symlinks=True)
        names = [each["name"] for each in self._snapshots.values()]
        name = f"{now:%Y-%m-%dT%H-%M-%S}"
        self._snapshots[number] = {
            "id": number,
            "name": name if name not in names else f"{name}-{number}",
            "description": values.get("description") or "",
            "is_automatic": False,
            "labels": values.get("labels") or {},
            "storage_box": self.id,
            "created": now.isoformat(),
        }
        self._changed()
        return self._snapshots[number]

    def drop_snapshot(self, number: int) -> None:
        """Delete one. Raises Refusal."""
        self.snapshot(number)
        del self._snapshots[number]
        shutil.rmtree(self._kept / str(number))
        self._changed()

    def roll_back(self, values: Values) -> None:
        """Put the pool back to a snapshot (by id or name); newer snapshots go, as on a real box. Raises Refusal."""
        wanted = values.get("snapshot")
        found = [number for number, each in self._snapshots.items() if wanted in (number, str(number), each["name"])]
        if not found:
            raise Refusal(404, "not_found", "snapshot not found")
        for entry in self._pool.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        shutil.copytree(self._kept / str(found[0]), self._pool, symlinks=True, dirs_exist_ok=True)
        for number in [number for number in self._snapshots if number > found[0]]:
            self.drop_snapshot(number)
        self._changed()

    def subaccounts(self) -> list[Values]:
        """Return all sub-accounts."""
        return list(self._subaccounts.values())

    def subaccount(self, number: int) -> Values:
        """Return one. Raises Refusal."""
        if number not in self._subaccounts:
            raise Refusal(404, "not_found", "subaccount not found")
        return self._subaccounts[number]

    def make_subaccount(self, values: Values) -> Values:
        """Make one with a folder of its own. Raises Refusal."""
        home = str(values.get("home_directory", ""))
        if not home or home.startswith("/") or not values.get("password"):
            fields = {"fields": [{"name": "home_directory", "messages": ["must be a relative path"]}]}
            raise Refusal(422, "invalid_input", "invalid input in field 'home_directory'", fields)
        if len(self._subaccounts) >= SUBACCOUNTS:
            limits = {"limits": [{"name": "subaccounts_limit"}]}
            raise Refusal(403, "resource_limit_exceeded", "subaccount limit exceeded", limits)
        taken = {int(each["username"].rpartition("-sub")[2]) for each in self.subaccounts()}
        name = f"{self._main}-sub{next(number for number in range(1, SUBACCOUNTS + 2) if number not in taken)}"
        wanted = values.get("access_settings") or {}
        account = Account(
            name, values["password"], home, bool(wanted.get("readonly")), bool(wanted.get("ssh_enabled", False))
        )
        (self._pool / home).mkdir(mode=0o755, parents=True, exist_ok=True)
        self._accounts[name] = account
        return self._enter(account, values)

    def drop_subaccount(self, number: int) -> None:
        """Take one away; its folder stays. Raises Refusal."""
        del self._accounts[self.subaccount(number)["username"]]
        del self._subaccounts[number]

    def _enter(self, account: Account, values: Values) -> Values:
        number = self._take()
        wanted = {**dict.fromkeys(SWITCHES, False), **(values.get("access_settings") or {})}
        self._subaccounts[number] = {
            "id": number,
            "name": values.get("name") or account.name,
            "username": account.name,
            "server": "127.0.0.1",
            "home_directory": account.directory,
            "description": values.get("description") or "",
            "labels": values.get("labels") or {},
            "storage_box": self.id,
            "created": datetime.now(UTC).isoformat(),
            "access_settings": {**wanted, "readonly": account.readonly, "ssh_enabled": account.ssh_enabled},
        }
        return self._subaccounts[number]

    def _take(self) -> int:
        self._next += 1
        return self._next - 1

    def _pinned(self, number: int) -> int:
        folder, total = self._kept / str(number), 0
        for file in folder.rglob("*"):
            if file.is_symlink() or not file.is_file():
                continue
            about, live = file.stat(), self._pool / file.relative_to(folder)
            now = live.stat() if live.is_file() else None
            if now is None or (now.st_size, now.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
                total += about.st_size
        return total
