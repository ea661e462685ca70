"""When a storage of the report will be full."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tasks.report.rows import Expected, StorageRow
from tasks.storage import growth as growing
from tasks.storage.records import Record


def daily_growth(wanted: Iterable[Expected], records: Sequence[Record], storage: str, now: datetime) -> float | None:
    """Return how many bytes a day the backups add to a storage, None when there is too little history."""
    return growing.daily_growth({(each.app, each.source) for each in wanted if each.storage == storage}, records, now)


def days_left(row: StorageRow, growth: float | None) -> int | None:
    """Return in how many days the storage is full at that growth; None when it is not known, or never."""
    if not row.size or row.used is None:
        return None
    return growing.days_until_full(max(row.size - row.used, 0), growth)
