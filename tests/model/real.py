"""Real borg as a place: the same sequences at depth. What a thief writes object by object is left to the stand-in."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.borg.client.break_lock import ROLLBACK
from tasks.remote.files import LocalFiles
from tasks.remote.host import LocalHost
from tests.model.world import World

WRITES = (" create ", " delete ", " compact", " change-passphrase", " import ")
WRAPPER = """#!/bin/bash
words=()
for word in "$@"; do words+=("$word"); [ "$word" = create ] && words+=(--timestamp "$(cat {stamp})"); done
exec {borg} "${{words[@]}}"
"""


class MortalFiles(LocalFiles):
    """Files of this machine: every change is a step at which its writer may be killed."""

    def __init__(self, world: World, tells_time: bool) -> None:
        self.world, self.tells_time = world, tells_time

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.world.step()
        super().write_new(path, data, mode)

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.world.step()
        super().replace(path, data, mode)

    def rename(self, path: str, new: str) -> None:
        if ".tmp" not in path and "unfinished" not in path:
            self.world.step()
        super().rename(path, new)

    def remove(self, path: str) -> None:
        self.world.step()
        super().remove(path)

    def clock(self, folder: str) -> float | None:
        path = str(Path(folder) / "clock.part")
        self.write_new(path, b"")
        self.remove(path)
        return self.world.now.timestamp() if self.tells_time else None


class RealHost(LocalHost):
    """This machine, on which each writing borg is a step."""

    def __init__(self, box: "RealBox") -> None:
        super().__init__()
        self.box = box

    def files(self) -> Any:
        return self.box.files

    def run(self, script: Any, *given: Any, **named: Any) -> Any:
        last = script.body.splitlines()[-1]
        if "borg --log-json" in script.body and any(verb in f"{last} " for verb in WRITES):
            self.box.world.step()
        if " compact" in last:
            self.box.on_final()
        self.box.stamp(self.box.world.now)
        done = super().run(script, *given, **named)
        if "borg --log-json" in script.body:
            self.box.remember()
        return done


class RealBox:
    """A repository of real borg in a directory of its own."""

    def __init__(self, folder: Path, borg: str, world: World, tells_time: bool = True) -> None:
        self.folder, self.borg, self.world, self.tells_time = folder, borg, world, tells_time
        self.box, self.shop = folder / "box", folder / "box" / "shop"
        self.files = MortalFiles(world, tells_time)
        self.on_final: Callable[[], None] = lambda: None
        self.timeline: dict[int, frozenset[str]] = {}
        self._known: dict[object, Any] = {}
        (self.box / "records" / "shop").mkdir(parents=True)
        (folder / "bin").mkdir()
        wrapper = folder / "bin" / "borg"
        wrapper.write_text(WRAPPER.format(stamp=folder / "stamp", borg=borg))
        wrapper.chmod(0o755)
        self._run("init", "-e", "repokey", str(self.shop), passphrase="one")
        self.remember()

    def stamp(self, time: datetime) -> None:
        (self.folder / "stamp").write_text(f"{time:%Y-%m-%dT%H:%M:%S}")

    def _run(self, *words: str, passphrase: str = "") -> subprocess.CompletedProcess[bytes]:
        given = {**os.environ, "HOME": str(self.folder / "home"), "BORG_PASSPHRASE": passphrase or self.passphrase()}
        given |= {"BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": str(self.folder / "thief")}
        # Each time as a machine that has never seen the repository: one that has refuses what a rollback left as older.
        shutil.rmtree(self.folder / "thief", ignore_errors=True)
        return subprocess.run([self.borg, *words], env=given, capture_output=True, check=False)

    def _mark(self) -> object:
        data = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.shop.glob("data/*/*"))
        return (self.shop / "config").read_bytes(), tuple(data)

    def host(self) -> Any:
        return RealHost(self)

    def passphrase(self) -> str:
        key = "passphrase", (self.shop / "config").read_bytes()
        if key not in self._known:
            for number in range(30):
                new = "one" + "+" * number
                if self._run("--bypass-lock", "list", str(self.shop), passphrase=new).returncode == 0:
                    self._known[key] = new
                    break
        return str(self._known[key])

    def manifest(self) -> Mapping[str, str]:
        key = "manifest", self._mark()
        if key not in self._known:
            done = self._run("--bypass-lock", "list", "--json", str(self.shop))
            self._known[key] = {each["name"]: each["id"] for each in json.loads(done.stdout)["archives"]}
        found: Mapping[str, str] = self._known[key]
        return found

    def transaction(self) -> int:
        return max((int(path.name) for path in self.shop.glob("data/*/*")), default=0)

    def remember(self) -> None:
        with suppress(ValueError, KeyError):
            self.timeline[self.transaction()] = self.listed()

    def listed(self) -> frozenset[str]:
        return frozenset(self.manifest().values())

    def names(self) -> list[str]:
        return sorted(self.manifest())

    def id_of(self, name: str) -> str:
        return self.manifest()[name]

    def whole(self, key: str) -> bool:
        of = {archive: name for name, archive in self.manifest().items()}
        asked = "whole", key, self._mark()
        if asked not in self._known:
            done = self._run("--bypass-lock", "extract", "--dry-run", f"{self.shop}::{of[key]}") if key in of else None
            self._known[asked] = done is not None and done.returncode == 0
        return bool(self._known[asked])

    def steal(self, name: str) -> None:
        self._run("delete", f"{self.shop}::{name}")
        self.remember()

    def forge(self, name: str) -> str:
        time = f"{self.world.now:%Y-%m-%dT%H:%M:%S}"
        self._run("create", "--timestamp", time, f"{self.shop}::{name}", str(self.folder / "stamp"))
        self.remember()
        return self.id_of(name)

    def overwrite(self, name: str, rot: bool) -> bool:  # noqa: ARG002
        return False

    def locked(self) -> bool:
        lock = self.shop / "lock.exclusive"
        return lock.exists() and any(each.name.startswith(ROLLBACK) for each in lock.iterdir())

    def unlock(self) -> None:
        lock = self.shop / "lock.exclusive"
        if lock.exists() and not self.locked():
            for each in lock.iterdir():
                each.unlink()
            lock.rmdir()

    def recorded(self, action: str) -> int:
        return sum(f"-{action}-" in path.name for path in (self.box / "records" / "shop").iterdir())

    def announced(self) -> int:
        return self.recorded("intent")
