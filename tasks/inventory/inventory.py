"""The inventory as the rest of the program uses it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App, Defaults, Notification, SecretStore, StorageConfig
from tasks.inventory.schedule import Schedule
from tasks.inventory.tag import Tag


@dataclass(frozen=True)
class Inventory:
    """All storages and apps by name, apps sorted by name.

    `escrow`, `agent_keys` and `cache` are folders on the operator's machine; `storages` and `apps` are read-only.
    `page` is the address of the page for people, empty if there is none.
    """

    folder: Path
    storages: Mapping[str, StorageConfig]
    defaults: Defaults
    apps: Mapping[str, App]
    escrow: Path
    agent_keys: Path
    cache: Path
    secrets: SecretStore
    notify: tuple[Notification, ...] = ()
    page: str = ""
    schedule: Schedule = field(default_factory=Schedule)

    def select(self, names: Sequence[str] = (), part: str | None = None) -> tuple[App, ...]:
        """Return the named apps, or all if none is named, sorted by name, each with its copies.

        A `Tag` in the place of a name stands for all apps that have it.
        `part` is "I/N": only every N-th of them, starting with the I-th; the N parts together are all of them. Raises
        UsageError for an unknown name or tag, an invalid part, and an inventory without apps.
        """
        if not self.apps:
            raise UsageError(f"{self.folder / 'apps'} holds no app yet", "`inv app.add` adds the first one")
        for name in names:
            self._require(name)
        chosen = [app for app in self.apps.values() if not names or any(_is_meant(app, name) for name in names)]
        if part is None:
            return tuple(copy for app in chosen for copy in app.copies)
        index, count = read_part(part)
        return tuple(copy for app in chosen[index - 1 :: count] for copy in app.copies)

    def _require(self, name: str) -> None:
        """Raise UsageError for a name that no app has, or a tag."""
        if isinstance(name, Tag):
            known = sorted({tag for app in self.apps.values() for tag in app.tags})
            if name not in known:
                what = f"no app has the tag `{name[:80]}`{nearest(name, known)}"
                raise UsageError(what, "" if known else "`tags: [prod]` in an app's file gives it one")
        elif name not in self.apps:
            raise UsageError(f"the inventory has no app `{name[:80]}`{nearest(name, self.apps)}")

    def app(self, name: str) -> App:
        """Return the first copy of an app. Raises UsageError if there is no app of this name."""
        return self.select([name])[0]

    def copies(self, name: str, storage: str | None = None) -> tuple[App, ...]:
        """Return all copies of an app, or the one in `storage`. Raises UsageError if there is none."""
        copies = self.select([name])
        chosen = tuple(copy for copy in copies if storage in (None, copy.storage))
        if not chosen:
            names = [copy.storage for copy in copies]
            raise UsageError(f"{name} is not in the storage `{storage}`{nearest(str(storage), names)}")
        return chosen


def _is_meant(app: App, name: str) -> bool:
    return name in app.tags if isinstance(name, Tag) else name == app.name


def read_part(text: str) -> tuple[int, int]:
    """Return I and N of "I/N", where 1 <= I <= N. Raises UsageError for anything else."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise UsageError(f"`{text}` is no part", "write --part I/N with I from 1 to N, such as --part 2/7")
    return index, count
