"""`storagebox.access`: the protocols and networks by which a box can be reached."""

from collections.abc import Callable, Iterator
from pathlib import Path

from hcloud.storage_boxes import StorageBoxAccessSettings

from tasks.errors import UsageError
from tasks.storage.registry import load
from tasks.storagebox.box import Box, opened
from tasks.storagebox.choose import one
from tasks.storagebox.document import as_lines, list_alone

Ask = Callable[[str], bool]
WAYS = {
    "ssh_enabled": "SSH (port 23: borg, rsync; and keys on port 22)",
    "reachable_externally": "from outside of Hetzner's network",
    "zfs_enabled": "snapshots as folders in /.zfs/snapshot",
    "samba_enabled": "Samba",
    "webdav_enabled": "WebDAV",
}
NEEDED = {"ssh_enabled": "--ssh", "reachable_externally": "--external"}


def run(folder: str, storage: str, wanted: dict[str, str], ask: Ask, *, as_json: bool = False) -> Iterator[str]:
    """Apply the switches in `wanted` ("on" or "off", empty: unchanged), then show all. Raises UsageError, AppError."""
    changes = {way: _read(way, value) for way, value in wanted.items() if value}
    list_alone(bool(changes), as_json=as_json)
    inventory = load(Path(folder))
    with opened(inventory, one(inventory, storage)) as box:
        risky = [WAYS[way] for way, on in changes.items() if way in NEEDED and not on]
        if risky and not ask(f"Switch off {' and '.join(risky)} of {box.name}? Backups need it."):
            yield f"{box.name}: nothing changed"
            return
        if changes:
            box.bound.update_access_settings(StorageBoxAccessSettings(**changes)).wait_until_finished()
            box.bound.reload()
        if as_json:
            settings = box.bound.access_settings
            yield from as_lines({"storage": box.name, "access": {way: getattr(settings, way, None) for way in WAYS}})
        else:
            yield from _shown(box)


def _read(way: str, value: str) -> bool:
    if value not in ("on", "off"):
        raise UsageError(f"{NEEDED.get(way, '--snapshot-folder')} {value} is neither on nor off")
    return value == "on"


def _shown(box: Box) -> Iterator[str]:
    settings = box.bound.access_settings
    for way, meaning in WAYS.items():
        yield f"{box.name}  {'on ' if getattr(settings, way) else 'off'}  {meaning}"
    for way, option in NEEDED.items():
        if not getattr(settings, way):
            yield f"  without {WAYS[way]} backups fail: `inv storagebox.access {option} on`"
