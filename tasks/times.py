"""Times for people: ages in words, times in the operator's zone with the zone's name; and times as people type them."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

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
_AGO = re.compile(r"([0-9]{1,9}) ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?) ago")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}  # seconds, by the first letter
_DAY = r"(?P<day>today|yesterday|[0-9]{4}-[0-9]{2}-[0-9]{2})?"
_TIME = r"(?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
_ZONE = r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?|[A-Za-z]{2,6})?"
_MOMENT = re.compile(f"{_DAY}(?:(?:^|[ T]){_TIME} ?{_ZONE})?")


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


def paused_until(until: date) -> str:
    """Return what is said of an app that is paused until a day: `paused until 24 Dec 2026`."""
    return f"paused until {until.day} {MONTHS[until.month - 1]} {until.year}"


def moment(when: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return `22 Nov 04:00 CET`: the time in `zone`, None for the machine's own, with the zone's name."""
    try:
        local, today = when.astimezone(zone), now.astimezone(zone)
    except (OverflowError, ValueError):  # a date at the limit of the range, which only a forged archive has
        local, today = when, now
    return f"{day(local, today)} {local:%H:%M} {zone_name(local)}"


def utc(when: datetime) -> str:
    """Return the time for machines, in UTC and whole seconds: `2026-11-22T03:10:00Z`."""
    return when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def shown(when: datetime) -> str:
    """Return a time as a person types it, in this machine's zone and with its name: `2026-11-22 14:03:00 CET`."""
    local = when.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {zone_name(local)}"


def zone_name(when: datetime) -> str:
    """Return the name of a time's zone, by which it can be typed again; its offset if it is named UTC and is not."""
    name = when.tzname() or ""
    misnamed = name.upper() in ("UTC", "GMT", "Z") and when.utcoffset()
    return f"{when:%z}" if misnamed else name


def moment_example(option: str) -> str:
    """Return the sentence that shows how to write the option's time."""
    return (
        f"write {option} '2026-11-22 14:03', 14:03, 'yesterday 14:03' or '3 hours ago',"
        " with +01:00 or Z behind the time where it is not this machine's"
    )


def moment_or_none(text: str) -> datetime | None:
    """Return the time that a text means, as `parse_moment` does; None if it does not look like one.

    Raises UsageError for what looks like a time and is none.
    """
    text = text.strip()
    return parse_moment(text, "the time") if text and (_AGO.fullmatch(text) or _MOMENT.fullmatch(text)) else None


def parse_moment(text: str, option: str, *, days: bool = True, now: datetime | None = None) -> datetime:
    """Return the time given with `option`, aware: in this machine's zone unless it has an offset, Z or a zone's name.

    `2026-11-22 14:03` (or with seconds, or T), `14:03` (of today), `yesterday 14:03`, `3 hours ago` or `3h ago`; with
    `days` also a day alone, `yesterday` or `2026-11-22`, which means its last second. `now` is for tests. Raises
    UsageError, also for a time that occurs twice or not at all in the zone, and for a time of today still to come.
    """
    text, now = text.strip(), now or datetime.now(UTC)
    try:
        if ago := _AGO.fullmatch(text):
            return now.replace(microsecond=0) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2][0]])
        parts = _MOMENT.fullmatch(text)
        if parts and text:
            return _at(parts, option, now, days=days)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{option} {text!r} is not a time", moment_example(option))


def _at(parts: re.Match[str], option: str, now: datetime, *, days: bool) -> datetime:
    """Return the moment that the parts of a text name. Raises UsageError, ValueError, OverflowError."""
    text, zone = parts[0], _offset(parts["zone"])
    if parts["time"] is None and not days:
        raise UsageError(f"{option} {text!r} is a whole day", moment_example(option))
    day = _day(parts["day"], now.astimezone(zone))
    if parts["time"] is None:
        return day.replace(hour=23, minute=59, second=59, fold=1).astimezone()
    clock = parts["time"] if parts["time"][2] == ":" else f"0{parts['time']}"
    time = datetime.fromisoformat(f"{day.date()} {clock}")
    found = time.replace(tzinfo=zone) if zone else _local(time, text, option, parts["zone"] or "")
    found.astimezone(UTC)  # a time at the limit of the range is none
    if parts["day"] is None and found > now:
        raise UsageError(f"{option} {text!r} is still to come today", f"write {option} 'yesterday {text}'")
    return found


def _day(word: str | None, today: datetime) -> datetime:
    if word not in (None, "today", "yesterday"):
        return datetime.fromisoformat(str(word))
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return midnight - timedelta(days=word == "yesterday")


def _offset(zone: str | None) -> tzinfo | None:
    """Return the zone that was named as an offset, Z or UTC; None for this machine's."""
    if not zone or (zone.isalpha() and zone.upper() not in ("Z", "UTC", "GMT")):
        return None
    return UTC if zone.isalpha() else datetime.fromisoformat(f"2000-01-01T00:00{zone}").tzinfo


def _local(time: datetime, text: str, option: str, name: str) -> datetime:
    """Return a time of this machine's zone, which clocks going back may have twice: then `name`, as CET, says which."""
    first, second = time.replace(fold=0).astimezone(), time.replace(fold=1).astimezone()
    if name:
        found = next((each for each in (first, second) if each.tzname() == name.upper()), None)
        if found is None or found.replace(tzinfo=None) != time:
            remedy = f"write the time with an offset, as {text.removesuffix(name).strip()}{first:%z}"
            raise UsageError(f"{option} {text!r}: this machine's zone is not {name} then", remedy)
        return found
    if first.utcoffset() != second.utcoffset():
        how = "comes twice" if first.replace(tzinfo=None) == time else "does not exist"
        raise UsageError(
            f"{option} {text} {how} where clocks are changed", f"say which: {text}{first:%z} or {text}{second:%z}"
        )
    return first
