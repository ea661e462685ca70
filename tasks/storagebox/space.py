"""`storagebox.usage`: one line a storage."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.human import size
from tasks.inventory import load
from tasks.storage.session import Session
from tasks.storagebox.select import apps_of, storages


def lines(folder: str, names: Sequence[str]) -> Iterator[str]:
    """Yield a line for each storage: used, size, free. Raises UsageError, AppError."""
    with Session(load(Path(folder))) as session:
        for name in storages(session.inventory, names, ("storagebox", "ssh", "local")):
            usage = session.storage(name).usage(apps_of(session.inventory, name))
            share = 100 * usage.used / usage.size if usage.size else 0
            yield f"{name}: {size(usage.used)} of {size(usage.size)} used ({share:.0f} %), {size(usage.free)} free"
