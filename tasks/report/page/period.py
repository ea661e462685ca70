"""The weeks that the page's charts and calendars show: the same for all, so that they can be compared."""

from datetime import date, datetime, timedelta, tzinfo

from tasks.times import MONTHS

WEEKS = 18
DAYS = 7  # of a week


def start_of(today: date) -> date:
    """Return the Monday with which the period begins that ends with `today`."""
    return today - timedelta(days=today.weekday() + DAYS * (WEEKS - 1))


def day_of(time: datetime, zone: tzinfo | None) -> date:
    """Return the day of a moment in `zone` (None: the machine's own)."""
    return time.astimezone(zone).date()


def short(day: date) -> str:
    """Return a day as `22 Nov`."""
    return f"{day.day} {MONTHS[day.month - 1]}"
