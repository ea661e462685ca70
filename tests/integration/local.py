"""The cheapest real inventory: two apps on this machine, a directory as storage, no server to start."""

from pathlib import Path

import yaml


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
