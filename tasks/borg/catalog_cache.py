"""A cache of each repository's listing and records on the operator's machine.

An entry is valid until the repository's mark changes. One file per app and storage, which may be deleted at any time.
Files are replaced atomically, so that two operators at once only overwrite each other's valid data. A file that is
broken or for another address is ignored; so is a failed write.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.borg.client.list import Archive, Listing
from tasks.inventory.inventory import Inventory
from tasks.storage.state import State
from tasks.storage.survey import Mark

VERSION = 3


@dataclass(frozen=True)
class Kept:
    """A cache entry: what the repository lists as long as it has that mark, and the texts of its records."""

    mark: Mark | None = None
    listing: Listing | None = None
    state: State | None = None
    records: Mapping[str, bytes] = field(default_factory=dict)

    def holds(self, mark: Mark | None) -> bool:
        """Return whether archives and state are valid for a repository with this mark."""
        return mark is not None and mark == self.mark and self.listing is not None


NOTHING = Kept()


class Cache:
    """The cache, by storage and app. With `fresh` nothing is read from it, and everything is written again."""

    def __init__(self, inventory: Inventory, *, fresh: bool = False) -> None:
        self._folder = inventory.cache / "report"
        self._fresh = fresh

    def load(self, storage: str, app: str, address: str) -> Kept:
        """Return the cache entry of the repository at that address."""
        if self._fresh:
            return NOTHING
        try:
            digest, _, body = self._path(storage, app).read_bytes().partition(b"\n")
            values = json.loads(body) if hashlib.sha256(body).hexdigest().encode() == digest else {}
            return _kept(values) if values.get("address") == address else NOTHING
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return NOTHING

    def store(self, storage: str, app: str, address: str, kept: Kept) -> None:
        """Replace the cache entry."""
        body = json.dumps({"version": VERSION, "address": address, **_plain(kept)}).encode()
        path = self._path(storage, app)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            fresh.replace(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def _path(self, storage: str, app: str) -> Path:
        return self._folder / storage / f"{app}.json"


def _plain(kept: Kept) -> dict[str, Any]:
    listing = kept.listing
    return {
        "mark": asdict(kept.mark) if kept.mark else None,
        "repository": [listing.repository_id, listing.encryption] if listing else None,
        "archives": [[each.name, each.id, each.start.isoformat()] for each in listing.archives] if listing else None,
        "state": asdict(kept.state) if kept.state else None,
        "records": {name: text.decode("utf-8", "surrogateescape") for name, text in kept.records.items()},
    }


def _kept(values: dict[str, Any]) -> Kept:
    if values["version"] != VERSION:
        return NOTHING
    listing = None
    if values["repository"] is not None:
        found = (Archive(name, id_, datetime.fromisoformat(start)) for name, id_, start in values["archives"])
        repository_id, encryption = values["repository"]
        listing = Listing(repository_id, encryption, tuple(found))
    return Kept(
        mark=Mark(**values["mark"]) if values["mark"] else None,
        listing=listing,
        state=_state(values["state"]),
        records={name: text.encode("utf-8", "surrogateescape") for name, text in values["records"].items()},
    )


def _state(values: dict[str, Any] | None) -> State | None:
    if values is None:
        return None
    segments = values.pop("segments")
    return State(**values, segments={int(number): alive for number, alive in segments.items()} if segments else None)
