"""The order of an app's records, and the first record that needs to be read.

A milestone is a record that makes older ones unnecessary: its `known_ids` list every archive that should exist, because
its writer had compared the repository with all records, or because a person confirmed it (`--force`).

A record's time is its writer's clock, which may be years ahead, on a laptop for example. So a record with a future time
does not affect the order and is not used as the first milestone, nor is one whose transaction number contradicts its
time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.records.record import Record, Records

MILESTONES = ("init", "prune", "compact", "delete", "check", "rollback", "change-passphrase")  # may be milestones
LONGEST = timedelta(days=2)  # records carry their start time, so one that started this long before may end later
FROM = "from"  # in a rollback's details: the last transaction before it
GENERATION = "generation"  # in the details of a rollback's records: which of the repository's rollbacks it is
STORAGE_AHEAD = "storage_ahead"  # in details: seconds by which the storage's clock was ahead of the writer's
AGREES = 10.0  # seconds; less may be a slow connection
AHEAD = timedelta(minutes=15)  # how far a writer's clock may be ahead of the reader's


@dataclass(frozen=True)
class Placed:
    """A record in its order, and the latest time at which it was written; `sure` is True if its own time shows that."""

    record: Record
    time: datetime
    sure: bool = True


def in_order(records: Records, now: datetime) -> list[Placed]:
    """Return the valid records in the order in which they were written, oldest first.

    They are ordered by time (see `written`), except for three kinds: a record later than `now`, a milestone with an
    earlier transaction than a record that had ended before it, and a rollback that an earlier record of another one
    knew of. These are placed by their transaction, with `sure` False: the archives that they name count, their time
    does not.
    """
    sound = [record for record in records.all if _sound(record)]
    known = [record for record in sound if record.time <= now + AHEAD]
    astray = [
        record
        for record in sound
        if record.time > now + AHEAD or _contradicted(record, known) or _overtaken(record, known)
    ]
    sure = (record for record in known if not any(record is each for each in astray))
    placed = [Placed(record, record.time) for record in sorted(sure, key=written)]
    for record in astray:
        index = _place(record, placed)
        latest = placed[index].time if index < len(placed) else now
        placed.insert(index, Placed(record, latest, sure=False))
    return placed


def written(record: Record) -> datetime:
    """Return a record's time by the storage's clock, if the record says how far that was ahead of its writer's."""
    ahead = record.details.get(STORAGE_AHEAD)
    if not isinstance(ahead, int | float) or abs(ahead) > AHEAD.total_seconds():
        return record.time
    return record.time + timedelta(seconds=ahead)


def storage_ahead(seconds: float | None) -> Mapping[str, float]:
    """Return what the details of a record say of the storage's clock; nothing where it agrees with its writer's."""
    return {STORAGE_AHEAD: round(seconds, 1)} if seconds is not None and abs(seconds) >= AGREES else {}


def _place(record: Record, placed: Sequence[Placed]) -> int:
    """Return a record's position by its transaction: before the first record with a later one, else at the end.

    A rollback came after all that it undid, as it returned to a lower number, after those that it knew of, and before
    those that knew of it.
    """
    number, own = _newest(record), _generation(record)
    known = [index for index, each in enumerate(placed) if own and 0 < _generation(each.record) < own]
    for index in range(known[-1] + 1 if known else 0, len(placed)):
        each = placed[index].record
        if own and _generation(each) > own:
            return index
        if number is not None and each.transaction is not None and each.transaction > number:
            return index
    return len(placed)


def _newest(record: Record) -> int | None:
    """Return the highest transaction that a record knows of."""
    before = record.details.get(FROM) if _generation(record) else None
    return max(before, record.transaction or 0) if type(before) is int else record.transaction


def _generation(record: Record) -> int:
    """Return which rollback of the repository a record belongs to, counted from 1; 0 if to none, or not recorded."""
    number = record.details.get(GENERATION)
    return number if type(number) is int and number > 0 else 0


def next_generation(records: Records) -> int:
    """Return the number of a rollback that begins now."""
    return 1 + max((_generation(record) for record in records.all if _sound(record)), default=0)


def _overtaken(record: Record, known: Iterable[Record]) -> bool:
    """Return whether a later rollback is recorded with an earlier time."""
    number = _generation(record)
    return number > 0 and any(_generation(each) > number and each.time < record.time for each in known)


def start(placed: list[Placed]) -> datetime | None:
    """Return the time from which records count: `LONGEST` before the newest milestone; None if there is none."""
    newest = next((each.record for each in reversed(placed) if each.sure and is_milestone(each.record)), None)
    return newest.time - LONGEST if newest else None


def _contradicted(milestone: Record, known: Iterable[Record]) -> bool:
    """Return whether a milestone is older than its time: a record that ended before it has a later transaction.

    Milestones forced by a person or written by a rollback are exempt: transaction numbers are lower after those.
    """
    number = milestone.transaction
    if number is None or not is_milestone(milestone) or milestone.details.get("forced"):
        return False
    if milestone.action == "rollback":
        return False
    before = [record for record in known if ended(record) + AHEAD < milestone.time]
    rollbacks = [each for each in known if each.action == "rollback" or each.details.get("of") == "rollback"]
    undone = max((each.time for each in rollbacks if each.time <= milestone.time + AHEAD), default=None)
    since = [record for record in before if undone is None or record.time > undone]
    return any(record.transaction > number for record in since if record.transaction is not None)


def ended(record: Record) -> datetime:
    """Return when the action that a record describes ended."""
    seconds = record.duration_seconds
    return record.time + timedelta(seconds=seconds if isinstance(seconds, int | float) and 0 < seconds < 1e7 else 0)


def further(records: Records, now: datetime) -> datetime | None:
    """Return the time from which records must be read if the newest milestone's clock turns out to be wrong.

    None if it is right: then the records chosen by file name are enough.
    """
    placed = in_order(records, now)
    milestones = [each for each in placed if is_milestone(each.record) and each.record.time <= now + AHEAD]
    if all(each.sure for each in milestones):
        return None
    return start(placed) or datetime.min.replace(tzinfo=now.tzinfo)


def is_milestone(record: Record) -> bool:
    """Return whether a record makes all older ones unnecessary; its file name shows it too."""
    return known_ids(record) is not None


def known_ids(record: Record) -> tuple[str, ...] | None:
    """Return the ids of the archives that should exist according to a milestone; None for any other record."""
    if record.action not in MILESTONES or "known_ids" not in record.details:
        return None
    return texts(record.details["known_ids"])


def texts(values: object) -> tuple[str, ...]:
    """Return the strings in a list from a record's details, ignoring everything else in it."""
    return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list | tuple) else ()


def _sound(record: Record) -> bool:
    """Return whether a record's fields have valid values: anything may be in a storage's files."""
    texts = (record.archive, record.archive_id, record.config_sha256)
    numbers = (record.transaction, record.objects)
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(number is None or type(number) is int for number in numbers)
        and all(isinstance(each, str) for each in record.archive_ids or ())
        and isinstance(record.details, Mapping)
    )
