"""How fast repositories grow, and when a storage will be full, estimated from recent backups."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from tasks.records.record import Record

WINDOW = timedelta(days=30)
ENOUGH = timedelta(days=2)  # of history, or one unusual day would set the forecast


def daily_growth(sources: Collection[tuple[str, str]], records: Iterable[Record], now: datetime) -> float | None:
    """Return the bytes per day that backups of `sources` (app, source) add; None if there is too little history.

    `records` are oldest first. Space freed by pruning is not subtracted, so the true growth is lower. The first known
    backup of each source is left out, since it may be the initial full one.
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
    """Return the days until `free` bytes run out at this growth rate; None if unknown or never."""
    return None if not growth or growth <= 0 else int(free / growth)
