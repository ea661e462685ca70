"""The stand-in as a place: the repository in memory, and what a thief with the host's key does to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.borg.client.break_lock import ROLLBACK
from tasks.inventory.inventory import Inventory
from tasks.storage.registry import load
from tests.model.memory import MemoryFiles
from tests.model.repository import BOX, CONFIG, OTHER, ROTTEN, SHOP, MemoryHost, Repository
from tests.model.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


class Box:
    """A directory in memory. `on_final` is called before anything is freed."""

    def __init__(self, world: World, tells_time: bool = True) -> None:
        self.world, self.tells_time = world, tells_time
        self.repository = Repository(MemoryFiles(world, tells_time))
        self.on_final: Callable[[], None] = lambda: None

    def host(self) -> Any:
        return MemoryHost(self.repository, self.on_final)

    @property
    def timeline(self) -> dict[int, frozenset[str]]:
        return self.repository.timeline

    @timeline.setter
    def timeline(self, timeline: dict[int, frozenset[str]]) -> None:
        self.repository.timeline = timeline

    def listed(self) -> frozenset[str]:
        return self.repository.listed()

    def names(self) -> list[str]:
        return sorted(self.repository.manifest())

    def id_of(self, name: str) -> str:
        return self.repository.manifest()[name][0]

    def whole(self, key: str) -> bool:
        return self.repository.whole(key)

    def steal(self, name: str) -> None:
        self.repository.delete([name], self.world.now)

    def forge(self, name: str) -> str:
        return self.repository.create(name, self.world.now, self.world.now)

    def overwrite(self, name: str, rot: bool) -> bool:
        key = self.id_of(name)
        if not self.whole(key):
            return False
        self.repository.overwrite(key, ROTTEN if rot else OTHER, self.world.now)
        return True

    def unlock(self) -> None:
        """Break the lock of whoever was killed; a rollback keeps its own."""
        files, lock = self.repository.files, f"{SHOP}/lock.exclusive"
        if self.locked():
            return
        for name in list(files.tree.get(lock, ())):
            files.drop(f"{lock}/{name}")
        if files.exists(lock):
            files.drop(lock)

    def locked(self) -> bool:
        """Tell whether a rollback holds the lock."""
        return any(name.startswith(ROLLBACK) for name in self.repository.files.tree.get(f"{SHOP}/lock.exclusive", ()))

    def recorded(self, action: str) -> int:
        """Return how many records of an action there are; of `intent`, how many announcements."""
        return sum(f"-{action}-" in name for name in self.repository.files.tree[f"{BOX}/records/shop"])

    def announced(self) -> int:
        """Return how many announcements there are."""
        return self.recorded("intent")

    def passphrase(self) -> str:
        return self.repository.files.read(CONFIG).decode().split("key = ")[1].strip()


def inventory(folder: Path, *, database: bool, directory: str = BOX) -> Inventory:
    """Return an inventory of one app, with files and perhaps a database, in a directory."""
    place = folder / ("both" if database else "files")
    (place / "apps").mkdir(parents=True, exist_ok=True)
    main = {
        "storages": {"disk": {"kind": "local", "directory": directory}},
        "escrow": str(folder / "escrow"),
        "cache": str(folder / "cache"),
        "defaults": {"keep": {"last": 1}, "retries": 0},
    }
    app = {"host": "local", "passphrase": {"env": "MODEL_PASSPHRASE"}, "files": {"paths": ["/srv"]}}
    (place / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    (place / "apps" / "shop.yml").write_text(yaml.safe_dump(app | ({"mariadb": {}} if database else {})))
    return load(place)
