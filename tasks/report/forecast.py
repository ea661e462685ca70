"""When each storage in the report will be full if nothing is pruned."""

from tasks.records.growth import days_until_full
from tasks.report.rows import Report, StorageRow

CENTURIES = 36500  # days beyond which there is no forecast


def days_left(row: StorageRow, report: Report) -> int | None:
    """Return the days until the storage is full at the growth of its backups; None if unknown or never."""
    if not row.size or row.used is None:
        return None
    days = days_until_full(max(row.size - row.used, 0), report.growth.get(row.storage))
    return days if days is not None and days < CENTURIES else None


def in_words(days: int) -> str:
    """Return the forecast in words."""
    return f"full in about {days} day{'' if days == 1 else 's'}"
