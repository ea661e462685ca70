"""The cheapest real inventory: two apps on this machine, a directory as storage, no server to start."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tasks.records.record import Records
from tests.integration.fleet.support import eventually


def local_inventory(folder: Path, fault: Path) -> Path:
    """Write the inventory of the apps `shop` and `new`; a backup of the shop fails while `fault` is there."""
    place = folder / "inventory"
    (place / "apps").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data" / "file").write_text("content")
    secret = folder / "secret"
    secret.write_text("a passphrase")
    main = {
        "storages": {"disk": {"kind": "local", "directory": str(folder / "storage")}},
        "escrow": str(folder / "escrow"),
        "cache": str(folder / "cache"),
    }
    app = {"host": "local", "passphrase": {"file": str(secret)}, "files": {"paths": [str(folder / "data")]}}
    (place / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    (place / "apps" / "shop.yml").write_text(yaml.safe_dump(app | {"before": [["test", "!", "-e", str(fault)]]}))
    (place / "apps" / "new.yml").write_text(yaml.safe_dump(app))
    return place


def records(folder: Path, action: str) -> list[dict[str, Any]]:
    """Return what the records of an action on the inventory's apps hold, oldest first."""
    found = {path.name: path.read_bytes() for path in (folder / "storage").rglob("*.json")}
    every = Records.parse(found)
    assert not every.broken
    return [json.loads(record.to_json()) for record in every.all if record.action == action]


def after_the_newest_archive(folder: Path) -> None:
    """Return when an archive made now has another name than the newest: names have whole seconds."""
    made = max(
        datetime.fromisoformat(each["time"]) for action in ("backup", "create") for each in records(folder, action)
    )
    assert eventually(lambda: datetime.now(UTC).replace(microsecond=0) > made)
