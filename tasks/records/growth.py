"""How fast repositories grow, and when a storage will be full: from what the backups of late added to it."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from tasks.records.record import Record

WINDOW = timedelta(days=30)
ENOUGH = timedelta(days=2)  # of history, or one odd day would be the future


def daily_growth(sources: Collection[tuple[str, str]], records: Iterable[Record], now: datetime) -> float | None:
    """Return how many bytes a day the backups of `sources` (app, source) add, None when there is too little history.

    `records` are oldest first. What pruning frees is not in it: the true growth is less. The first backup that is known
    of each source is left out, for it may have filled the repository.
    """
    saved = [
        record
        for record in records
        if record.action == "backup" and record.stored is not None and now - WINDOW <= record.time <= now
    ]
    total, known = 0.0, False
    for source in sources:
        own = [record for record in saved if (record.app, record.source) == source]
        if len(own) >= 2 and (span := own[-1].time - own[0].time) >= ENOUGH:
            known = True
            total += sum(record.stored or 0 for record in own[1:]) / (span / timedelta(days=1))
    return total if known else None


def days_until_full(free: int, growth: float | None) -> int | None:
    """Return in how many days `free` bytes are used up at that growth; None when it is not known, or never."""
    return None if not growth or growth <= 0 else int(free / growth)
