"""What is due: pure functions of the schedule, the time, the zone, and when each app last had its turn.

A time that a zone does not have (clocks go forward) is due as long after midnight as on other days. One that comes
twice (clocks go back) is due at the first.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from tasks.inventory.schedule import When

WEEK = 7  # days after which every day of the week came by


def instant(day: date, at: time, zone: tzinfo | None) -> datetime:
    """Return the moment of a wall clock's time on a day, in UTC; `zone` None is the machine's own."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def newest(when: When, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """Return the newest moment up to `now` at which it was due, None for never."""
    return _first(when, now, zone, -1)


def upcoming(when: When, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """Return the first moment after `now` at which it is due, None for never."""
    return _first(when, now, zone, 1)


def _first(when: When, now: datetime, zone: tzinfo | None, step: int) -> datetime | None:
    today = now.astimezone(zone).date()
    for count in range(-1, WEEK + 2):
        day = today + timedelta(days=step * count)
        if day.weekday() in when.days:
            moment = instant(day, when.at or time(0), zone)
            if (moment <= now) if step < 0 else (moment > now):
                return moment
    return None


def apps_due(
    when: When, last: Mapping[str, datetime | None], now: datetime, zone: tzinfo | None = None
) -> Sequence[str]:
    """Return the apps that are due, sorted. `last` is when each had its turn with success, None for never.

    A schedule with parts gives each app one turn in as many moments: those that waited longest, no more than a part of
    all. A missed moment is made up at the next call: it is due until it was done.
    """
    slot = newest(when, now, zone)
    if slot is None:
        return []
    slots = [slot]
    while len(slots) < when.parts:
        before = newest(when, slots[-1] - timedelta(microseconds=1), zone)
        if before is None:
            break
        slots.append(before)
    oldest = datetime.min.replace(tzinfo=UTC)
    waiting = sorted((moment or oldest, app) for app, moment in last.items() if (moment or oldest) < slots[-1])
    done = sum(1 for moment in last.values() if moment is not None and moment >= slot)
    places = -(-len(last) // when.parts) - (done if when.parts > 1 else 0)
    return sorted(app for _, app in (waiting[: max(places, 0)] if when.parts > 1 else waiting))
