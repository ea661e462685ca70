"""What Hetzner's API knows and changes of an emulated box: itself and its switches, its sub-accounts and snapshots."""

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from pathlib import Path

from lab import snapshots
from lab.accounts import SUBACCOUNTS, Account
from lab.disk import used_by
from lab.refusal import Values
from lab.snapshots import Snapshots
from lab.subaccounts import SWITCHES, Subaccounts

BOX_ID = 4242


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
        self._accounts = accounts
        self._size = size
        self._changed = changed
        self._main = next(iter(accounts))
        self._switches = {**dict.fromkeys(SWITCHES, False), "zfs_enabled": False, "reachable_externally": True}
        self._own: Values = {"name": "lab-box", "labels": {}}
        self.snapshots = Snapshots(pool, kept, self._homes, changed)
        self.subaccounts = Subaccounts(pool, accounts, self.snapshots.show)

    @property
    def reachable(self) -> bool:
        """Whether the box is reachable from outside."""
        return self._switches["reachable_externally"]

    def pinned(self) -> int:
        """Return the bytes that snapshots hold and the pool no longer does."""
        return self.snapshots.pinned()

    def box(self) -> Values:
        """Return the box as the API has it."""
        data, pinned = used_by(self._pool), self.pinned()
        return {
            "id": self.id,
            **self._own,
            "username": self._main,
            "status": "active",
            "server": "127.0.0.1",
            "system": "FSN1-BX1",
            "location": {"id": 1, "name": "fsn1"},
            "storage_box_type": self.type(),
            "access_settings": {**self._switches, "ssh_enabled": self._accounts[self._main].ssh_enabled},
            "stats": {"size": data + pinned, "size_data": data, "size_snapshots": pinned},
            "snapshot_plan": self.snapshots.plan,
            "protection": {"delete": True},
            "created": "2026-01-01T00:00:00Z",
        }

    def type(self) -> Values:
        """Return the box's type, as the API has it."""
        return {
            "id": 1333,
            "name": "bx11",
            "description": "BX11",
            "size": self._size(),
            "snapshot_limit": snapshots.LIMIT,
            "automatic_snapshot_limit": snapshots.LIMIT,
            "subaccounts_limit": SUBACCOUNTS,
            "prices": [],
            "deprecation": None,
        }

    def switch(self, values: Values) -> None:
        """Change access settings of the box."""
        self._switches |= {key: value for key, value in values.items() if key in self._switches}
        if "ssh_enabled" in values:
            main = self._accounts[self._main]
            self._accounts[self._main] = replace(main, ssh_enabled=values["ssh_enabled"])
        self.snapshots.shown = self._switches["zfs_enabled"]
        self.snapshots.show()
        self._changed()

    def update(self, values: Values) -> Values:
        """Change name or labels of the box."""
        self._own |= {key: values[key] for key in self._own if key in values}
        return self.box()

    def reset_password(self, values: Values) -> None:
        """Give the main account another password."""
        self._accounts[self._main] = replace(self._accounts[self._main], password=values["password"])

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, from the main account's home on."""
        place = self._pool / path.strip("/")
        if not place.resolve().is_relative_to(self._pool.resolve()) or not place.is_dir():
            return []
        return sorted(each.name for each in place.iterdir() if each.is_dir() and not each.is_symlink())

    def _homes(self) -> list[str]:
        return [account.directory for account in list(self._accounts.values())]
