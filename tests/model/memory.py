"""Files in memory, as a host's: every write is a step at which its writer may be killed."""

import posixpath
from collections.abc import Iterable, Mapping

from tasks.remote.files import ALL, FilesError
from tests.model.world import World


class MemoryFiles:
    """`tree` holds by folder the names in it, with a file's bytes, or None for a folder."""

    def __init__(self, world: World, tells_time: bool = True) -> None:
        self.world = world
        self.tells_time = tells_time
        self.tree: dict[str, dict[str, bytes | None]] = {"/": {}}

    def _in(self, path: str) -> tuple[dict[str, bytes | None], str]:
        folder, name = posixpath.split(path)
        if folder not in self.tree:
            raise FilesError(f"{folder} is not there", missing=True)
        return self.tree[folder], name

    def read(self, path: str, most: int | None = None) -> bytes:
        folder, name = self._in(path)
        data = folder.get(name)
        if data is None:
            raise FilesError(f"{path} is not there", missing=True)
        return data[:most]

    def read_each(self, paths: Iterable[str], most: Mapping[str, int] = ALL) -> Mapping[str, bytes | FilesError]:
        found: dict[str, bytes | FilesError] = {}
        for path in paths:
            try:
                found[path] = self.read(path, most.get(path))
            except FilesError as error:
                found[path] = error
        return found

    def names(self, path: str) -> list[str]:
        if path not in self.tree:
            raise FilesError(f"{path} is not there", missing=True)
        return sorted(self.tree[path])

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        found: dict[str, list[str] | FilesError] = {}
        for path in paths:
            try:
                found[path] = self.names(path)
            except FilesError as error:
                found[path] = error
        return found

    def exists(self, path: str) -> bool:
        folder, name = posixpath.split(path)
        return path in self.tree or name in self.tree.get(folder, {})

    def clock(self, folder: str) -> float | None:
        path = posixpath.join(folder, "clock.part")
        self.write_new(path, b"")
        self.remove(path)
        return self.world.now.timestamp() if self.tells_time else None

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:  # noqa: ARG002
        if self.exists(path):
            raise FilesError(f"{path} is there already")
        self.replace(path, data)

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:  # noqa: ARG002
        self.world.step()
        self.put(path, data)

    def put(self, path: str, data: bytes) -> None:
        """Write without a step: a part of something that happens whole."""
        folder, name = self._in(path)
        folder[name] = data

    def rename(self, path: str, new: str) -> None:
        self.world.step()
        if self.exists(new):
            raise FilesError(f"{new} is there already")
        data = self.read(path)
        self.put(new, data)
        self.drop(path)

    def make_directory(self, path: str, mode: int = 0o700) -> None:  # noqa: ARG002
        if path in self.tree:
            return
        self.world.step()
        above, name = posixpath.split(path)
        if above not in self.tree:
            self.make_directory(above)
        self.tree[above][name] = None
        self.tree[path] = {}

    def remove(self, path: str) -> None:
        self.world.step()
        self.drop(path)

    def drop(self, path: str) -> None:
        """Remove without a step."""
        folder, name = self._in(path)
        if name not in folder:
            raise FilesError(f"{path} is not there", missing=True)
        if self.tree.get(path):
            raise FilesError(f"{path} is not empty")
        self.tree.pop(path, None)
        del folder[name]
