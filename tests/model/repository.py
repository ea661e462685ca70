"""A stand-in of borg 1 and its repository, in memory: a log of segments, of which a compact alone frees anything.

A transaction has the number of its last segment, so those after a rollback take the numbers of those that it undid.
What was not committed is removed by the next one who writes, as borg does.
"""

import hashlib
import itertools
import json
import shlex
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgpack

from tasks.remote.facts import Facts
from tasks.remote.host import LocalHost
from tasks.remote.output import Output
from tasks.remote.script import Script
from tests.model.memory import MemoryFiles

BOX = "/box"
SHOP = f"{BOX}/shop"
CONFIG = f"{SHOP}/config"
MANIFEST = "manifest"
ROTTEN = "rotten"  # instead of an object's value: bits were flipped, which its checksum shows
OTHER = "other"  # the value of an object that a thief wrote again: only who decrypts it notices
COMMIT = b'{"put": {}, "del": [], "commit": true}'
Objects = dict[str, tuple[Any, int]]


@lru_cache(4096)
def _segment(data: bytes) -> Any:
    return json.loads(data)


@dataclass
class Repository:
    """The repository in SHOP. Archives are in the manifest: name to id and start; each has an object of its own."""

    files: MemoryFiles
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    timeline: dict[int, frozenset[str]] = field(default_factory=dict)  # the archives after each transaction

    def __post_init__(self) -> None:
        self.files.make_directory(f"{SHOP}/data/0")
        self.files.make_directory(f"{BOX}/records/shop")
        self.files.put(CONFIG, f"[repository]\nid = {'a' * 64}\nkey = one\n".encode())
        self.commit({MANIFEST: {}})

    @property
    def data(self) -> dict[str, bytes | None]:
        return self.files.tree[f"{SHOP}/data/0"]

    def segments(self) -> list[tuple[int, Any]]:
        """Return the committed segments, in order."""
        found = sorted((int(name), _segment(data or b"{}")) for name, data in self.data.items())
        last = max((number for number, segment in found if segment["commit"]), default=0)
        return [each for each in found if each[0] <= last]

    def objects(self) -> Objects:
        """Return the objects that live, with their segments."""
        found: Objects = {}
        for number, segment in self.segments():
            for key in segment["del"]:
                found.pop(key, None)
            found |= {key: (value, number) for key, value in segment["put"].items()}
        return found

    def manifest(self) -> Mapping[str, tuple[str, str]]:
        """Return the archives by name: id and start."""
        found: Mapping[str, tuple[str, str]] = self.objects().get(MANIFEST, ({}, 0))[0]
        return found

    def transaction(self) -> int:
        return max((number for number, _ in self.segments()), default=0)

    def commit(self, put: Mapping[str, Any], delete: Iterable[str] = (), logged: datetime | None = None) -> None:
        """Write a transaction. `logged` is its time where a key that may only append wrote it."""
        last = self.transaction()
        for name in [name for name in self.data if int(name) > last]:
            del self.data[name]
        segment = {"put": dict(put), "del": list(delete), "commit": False}
        self.data[str(last + 1)] = json.dumps(segment).encode()
        self.data[str(last + 2)] = COMMIT
        if logged is not None:
            log = f"{SHOP}/transactions"
            before = self.files.read(log) if self.files.exists(log) else b""
            line = f"transaction {last + 2}, UTC time {logged.replace(tzinfo=None).isoformat()}\n"
            self.files.put(log, before + line.encode())
        self.write_index()
        self.remember()

    def listed(self) -> frozenset[str]:
        """Return the ids of the archives."""
        return frozenset(each[0] for each in self.manifest().values())

    def remember(self) -> None:
        self.timeline[self.transaction()] = self.listed()

    def write_index(self) -> None:
        """Write what borg keeps beside the data, as borg does."""
        for name in [name for name in self.files.tree[SHOP] if name.startswith(("index.", "hints.", "integrity."))]:
            self.files.drop(f"{SHOP}/{name}")
        objects, number = self.objects(), self.transaction()
        living: dict[int, int] = {each: 0 for each, _ in self.segments()}
        for _, segment in objects.values():
            living[segment] += 1
        bucket = struct.pack("<32sII", bytes(32), objects.get(MANIFEST, (None, 0))[1], 0)
        index = struct.pack("<8sii2b", b"BORG_IDX", len(objects), 1, 32, 8) + bucket
        self.files.put(f"{SHOP}/index.{number}", index)
        self.files.put(f"{SHOP}/hints.{number}", msgpack.packb({b"segments": living}))
        print_of = hashlib.sha256(json.dumps(sorted(map(str, objects.items()))).encode()).digest()
        self.files.put(f"{SHOP}/integrity.{number}", print_of)

    def opened(self) -> None:
        """Make anew what a rollback took away."""
        if not any(name.startswith("index.") for name in self.files.tree[SHOP]):
            self.write_index()

    def create(self, name: str, start: datetime, logged: datetime | None) -> str:
        """Make an archive and return its id."""
        key = f"{next(self.ids):064x}"
        manifest = {**self.manifest(), name: (key, start.replace(tzinfo=None).isoformat())}
        self.commit({key: name, MANIFEST: manifest}, logged=logged)
        return key

    def delete(self, names: Iterable[str], logged: datetime | None = None) -> None:
        """Drop archives."""
        manifest = dict(self.manifest())
        gone = [manifest.pop(name)[0] for name in names]
        self.commit({MANIFEST: manifest}, gone, logged)

    def compact(self) -> None:
        """Free what does not live: from here on nothing brings it back."""
        objects, segments = self.objects(), self.segments()
        last = self.transaction()
        keep = {key: value for key, (value, _) in objects.items()}
        if all(set(segment["put"]) <= set(keep) and not segment["del"] for _, segment in segments):
            self.data[str(last + 1)] = COMMIT
            self.write_index()
            self.remember()
            return
        for name in list(self.data):
            del self.data[name]
        self.data[str(last + 1)] = json.dumps({"put": keep, "del": [], "commit": False}).encode()
        self.data[str(last + 2)] = COMMIT
        self.write_index()
        self.remember()

    def overwrite(self, key: str, value: str, logged: datetime | None) -> None:
        """Write an object again, as who has the host's key can; with ROTTEN in its own place, as a disk does."""
        if value != ROTTEN:
            self.commit({key: value}, logged=logged)
            return
        number = self.objects()[key][1]
        segment = _segment(self.data[str(number)] or b"")
        self.data[str(number)] = json.dumps({**segment, "put": {**segment["put"], key: ROTTEN}}).encode()

    def whole(self, key: str) -> bool:
        """Tell whether an archive can be restored."""
        return self.objects().get(key, (ROTTEN, 0))[0] not in (ROTTEN, OTHER)

    def problems(self, decrypting: bool) -> list[str]:
        """Return what a check finds."""
        objects = self.objects()
        bad = [key for key, (value, _) in objects.items() if value == ROTTEN or (decrypting and value == OTHER)]
        lost = [key for key, _ in self.manifest().values() if key not in objects]
        return [f"object {key[-4:]} is damaged or missing" for key in (*bad, *lost)]

    def kept(self, key: str) -> bool:
        """Tell whether an archive's object lies anywhere still, also where a rollback set it aside."""
        every = (data for folder in self.files.tree.values() for name, data in folder.items() if name.isdigit())
        return any(data and _segment(data)["put"].get(key) not in (None, ROTTEN, OTHER) for data in every)


class MemoryHost(LocalHost):
    """A machine whose borg is the stand-in."""

    def __init__(self, repository: Repository, on_final: Any) -> None:
        super().__init__()
        self.repository = repository
        self.on_final = on_final

    def facts(self) -> Facts:
        return Facts("/root", "root", "machine", None, "5.2")

    def files(self) -> Any:
        return self.repository.files

    def run(self, script: Script, *_: Any, **__: Any) -> Output:
        words = shlex.split(script.body.splitlines()[-1]) if "borg --log-json" in script.body else []
        if not words:
            return Output(0, b"", b"", 0.0)  # what lets clients forget the newer state
        words = [word for word in words[words.index("borg") + 1 :] if not word.startswith("--lock-wait")]
        return self._borg([word for word in words if word != "--log-json"], dict(script.environment))

    def _borg(self, words: list[str], environment: Mapping[str, Any]) -> Output:  # noqa: C901, PLR0911  # borg's verbs
        repository, world = self.repository, self.repository.files.world
        if repository.files.exists(f"{SHOP}/lock.exclusive"):
            return _said(2, "ERROR", "Failed to create/acquire the lock", "LockTimeout")
        if f"key = {environment['BORG_PASSPHRASE'].reveal()}\n".encode() not in repository.files.read(CONFIG):
            return _said(2, "ERROR", "passphrase supplied is incorrect", "PassphraseWrong")
        repository.opened()
        named = [word.removeprefix("::") for word in words if word.startswith("::") and word != "::"]
        match words[0]:
            case "list":
                rows = [{"name": name, "id": each[0], "start": each[1]} for name, each in repository.manifest().items()]
                answer = {"repository": {"id": "a" * 64}, "encryption": {"mode": "repokey"}, "archives": rows}
                return Output(0, json.dumps(answer).encode(), b"", 0.0)
            case "create":
                world.step()
                key = repository.create(named[0], world.now, world.now)
                stats = {"original_size": 9, "compressed_size": 9, "deduplicated_size": 9, "nfiles": 1}
                made = {"name": named[0], "id": key, "start": f"{world.now:%Y-%m-%dT%H:%M:%S.000000}", "stats": stats}
                answer = {"archive": made, "encryption": {"mode": "repokey"}, "repository": {"id": "a" * 64}}
                return Output(0, json.dumps(answer).encode(), b"", 0.0)
            case "delete":
                world.step()
                names = [*named, *(word for word in words[1:] if not word.startswith(("::", "-")))]
                repository.delete([name for name in names if name in repository.manifest()])
                return Output(0, b"", b"", 0.0)
            case "compact":
                world.step()
                self.on_final()
                repository.compact()
                return _said(0, "INFO", "compaction freed about 1.00 kB repository space.")
            case "key" if words[1] == "export":
                return Output(0, b"BORG_KEY the key\n", b"", 0.0)
            case "key":
                return self._changed(environment)
            case "check":
                found = repository.problems("--verify-data" in words)
                return _said(1, "WARNING", found[0]) if found else Output(0, b"", b"", 0.0)
        raise AssertionError(words)

    def _changed(self, environment: Mapping[str, Any]) -> Output:
        self.repository.files.world.step()
        old, new = (environment[name].reveal() for name in ("BORG_PASSPHRASE", "BORG_NEW_PASSPHRASE"))
        config = self.repository.files.read(CONFIG).replace(f"key = {old}\n".encode(), f"key = {new}\n".encode())
        self.repository.files.put(CONFIG, config)
        return Output(0, b"", b"", 0.0)


def _said(code: int, level: str, text: str, msgid: str = "") -> Output:
    line = {"type": "log_message", "levelname": level, "message": text, "msgid": msgid}
    return Output(code, b"", json.dumps(line).encode() + b"\n", 0.0)
