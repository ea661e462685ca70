"""When a storage will be full: from what the backups of late added to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tasks.report.rows import Expected, StorageRow
from tasks.storage.records import Record

WINDOW = timedelta(days=30)
ENOUGH = timedelta(days=2)  # of history, or one odd day would be the future


def daily_growth(wanted: Iterable[Expected], records: Sequence[Record], storage: str, now: datetime) -> float | None:
    """Return how many bytes a day the backups add to a storage, None when there is too little history.

    What pruning frees is not in it: the true growth is less. The first backup that is known of each source is left out,
    for it may have filled the repository.
    """
    sources = {(each.app, each.source) for each in wanted if each.storage == storage}
    total, known = 0.0, False
    for app, source in sources:
        own = [
            record
            for record in records
            if (record.app, record.source, record.action) == (app, source, "backup")
            and record.stored is not None
            and now - WINDOW <= record.time <= now
        ]
        if len(own) >= 2 and (span := own[-1].time - own[0].time) >= ENOUGH:
            known = True
            total += sum(record.stored or 0 for record in own[1:]) / (span / timedelta(days=1))
    return total if known else None


def days_left(row: StorageRow, growth: float | None) -> int | None:
    """Return in how many days the storage is full at that growth; None when it is not known, or never."""
    if not row.size or row.used is None or not growth or growth <= 0:
        return None
    return int(max(row.size - row.used, 0) / growth)
