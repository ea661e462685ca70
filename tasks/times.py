"""Times as a person reads them: ages in words, moments in the operator's zone with the zone named."""

from datetime import UTC, datetime, tzinfo

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# up to how many seconds, the unit, and its seconds: 90 s are `1 min`, 26 hours `26 h`, 48 hours `2 days`
AGES = (
    (60, "s", 1),
    (3600, "min", 60),
    (48 * 3600, "h", 3600),
    (60 * 86400, "days", 86400),
    (730 * 86400, "months", 30.44 * 86400),
)
YEAR = 365.25 * 86400


def age(seconds: float) -> str:
    """Return how long that is, in whole units that have passed: `42 s`, `10 min`, `26 h`, `2 days`, `3 months`."""
    seconds = max(seconds, 0)
    for limit, unit, length in AGES:
        if seconds < limit:
            return f"{int(seconds / length)} {unit}"
    years = int(seconds / YEAR)
    return f"{years} year{'s' if years > 1 else ''}"


def ago(when: datetime | None, now: datetime) -> str:
    """Return `2 days ago`, or `never` for None."""
    return "never" if when is None else f"{age((now - when).total_seconds())} ago"


def day(when: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return `22 Nov`, with the year when it is not this one. `zone` None leaves the time's own."""
    local, today = (when.astimezone(zone), now.astimezone(zone)) if zone else (when, now)
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {MONTHS[local.month - 1]}{year}"


def moment(when: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return `22 Nov 04:00 CET`: the time in `zone`, None for the machine's own, with the zone's name."""
    try:
        local, today = when.astimezone(zone), now.astimezone(zone)
    except (OverflowError, ValueError):  # a date at the edge of what there is, as only a forged archive has
        local, today = when, now
    return f"{day(local, today)} {local:%H:%M} {local.tzname()}"


def utc(when: datetime) -> str:
    """Return the time for machines, in UTC and whole seconds: `2026-11-22T03:10:00Z`."""
    return when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
