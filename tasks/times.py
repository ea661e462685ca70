"""Times for people: ages in words, times in the operator's zone with the zone's name."""

from datetime import UTC, datetime, tzinfo

from tasks.errors import UsageError

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# up to how many seconds, the unit, and its length: 90 s are `1 min`, 26 hours `26 h`, 48 hours `2 days`
AGES = (
    (60, "s", 1),
    (3600, "min", 60),
    (48 * 3600, "h", 3600),
    (60 * 86400, "days", 86400),
    (730 * 86400, "months", 30.44 * 86400),
)
YEAR = 365.25 * 86400


def age(seconds: float) -> str:
    """Return a duration in completed whole units: `42 s`, `10 min`, `26 h`, `2 days`, `3 months`."""
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
    """Return `22 Nov`, with the year if it is not the current one. `zone` None keeps the time's own."""
    local, today = (when.astimezone(zone), now.astimezone(zone)) if zone else (when, now)
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {MONTHS[local.month - 1]}{year}"


def moment(when: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return `22 Nov 04:00 CET`: the time in `zone`, None for the machine's own, with the zone's name."""
    try:
        local, today = when.astimezone(zone), now.astimezone(zone)
    except (OverflowError, ValueError):  # a date at the limit of the range, which only a forged archive has
        local, today = when, now
    return f"{day(local, today)} {local:%H:%M} {local.tzname()}"


def utc(when: datetime) -> str:
    """Return the time for machines, in UTC and whole seconds: `2026-11-22T03:10:00Z`."""
    return when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def shown(when: datetime) -> str:
    """Return a time as a person types it, in this machine's zone and with its name: `2026-11-22 14:03:00 CET`."""
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def moment_example(option: str) -> str:
    """Return the sentence that shows how to write the option's time."""
    return f"write {option} '2026-11-22 14:03:00', with +01:00 or Z behind it where it is not this machine's time"


def parse_moment(text: str, option: str) -> datetime:
    """Return the time given with `option`, aware: in this machine's zone unless it has an offset or Z.

    Raises UsageError, also for a time that occurs twice or not at all in the zone.
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option} {text!r} is no time", moment_example(option)) from None
    if len(text.strip()) < len("2026-11-22T14:03"):
        raise UsageError(f"{option} {text!r} is no time in whole seconds", moment_example(option))
    if time.tzinfo is not None:
        return time
    first, second = time.replace(fold=0).astimezone(), time.replace(fold=1).astimezone()
    if first.utcoffset() != second.utcoffset():
        how = "comes twice" if first.replace(tzinfo=None) == time else "does not exist"
        raise UsageError(
            f"{option} {text} {how} where clocks are changed", f"say which: {text}{first:%z} or {text}{second:%z}"
        )
    return first
