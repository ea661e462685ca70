"""When a storage of the report will be full, if nothing were pruned."""

from tasks.records.growth import days_until_full
from tasks.report.rows import Report, StorageRow

CENTURIES = 36500  # days beyond which a forecast says nothing


def days_left(row: StorageRow, report: Report) -> int | None:
    """Return in how many days the storage is full at its backups' growth; None when it is not known, or never."""
    if not row.size or row.used is None:
        return None
    days = days_until_full(max(row.size - row.used, 0), report.growth.get(row.storage))
    return days if days is not None and days < CENTURIES else None


def told(days: int) -> str:
    """Return a forecast for a person."""
    return f"full in about {days} day{'' if days == 1 else 's'}"
