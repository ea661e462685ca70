"""The order of an app's records, and from which of them on they need be read.

A milestone is a record after which nothing older need be read: it lists, in `known_ids`, every archive that should be
there, because whoever wrote it had compared the repository with all records, or because a person said so (`--force`).

A record's time is the clock of whoever wrote it, and a laptop's may be years ahead. So no record of the future orders
anything or is a milestone to begin from, nor one whose transaction shows that its clock was wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.records.record import Record, Records

MILESTONES = ("init", "prune", "compact", "delete", "check", "rollback", "change-passphrase")  # may be one
LONGEST = timedelta(days=2)  # records carry the time of their beginning: who began so long before may end later
AHEAD = timedelta(minutes=15)  # how far the clock of whoever wrote a record may be ahead of the reader's


@dataclass(frozen=True)
class Placed:
    """A record in its place, and until when it was written at the latest; `sure` tells that its own time says so."""

    record: Record
    time: datetime
    sure: bool = True


def in_order(records: Records, now: datetime) -> list[Placed]:
    """Return the sound records in the order in which they came about, oldest first.

    The order is that of their times, but for those that cannot be right: a record later than `now`, and a milestone
    that tells of an earlier transaction than a record that had ended before it. Those stand where their transaction
    belongs, `sure` False: what they name counts, their clock does not.
    """
    sound = [record for record in records.all if _sound(record)]
    known = [record for record in sound if record.time <= now + AHEAD]
    astray = [record for record in sound if record.time > now + AHEAD or _contradicted(record, known)]
    placed = [Placed(record, record.time) for record in known if not any(record is each for each in astray)]
    for record in astray:
        index = _place(record, placed)
        latest = placed[index].time if index < len(placed) else now
        placed.insert(index, Placed(record, latest, sure=False))
    return placed


def _place(record: Record, placed: Sequence[Placed]) -> int:
    """Return where a record belongs by its transaction: before the first that tells of a later one, else at the end."""
    number = record.transaction
    for index, each in enumerate(placed):
        if number is not None and each.record.transaction is not None and each.record.transaction > number:
            return index
    return len(placed)


def start(placed: list[Placed]) -> datetime | None:
    """Return since when records count: `LONGEST` before the newest milestone; None when there is none."""
    newest = next((each.record for each in reversed(placed) if each.sure and is_milestone(each.record)), None)
    return newest.time - LONGEST if newest else None


def _contradicted(milestone: Record, known: Iterable[Record]) -> bool:
    """Tell whether a milestone is older than it says: a record that had ended before tells of a later transaction.

    Not one that a person forced, or that a rollback wrote: numbers are smaller after those.
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
    """Return when what a record tells of had ended."""
    seconds = record.duration_seconds
    return record.time + timedelta(seconds=seconds if isinstance(seconds, int | float) and 0 < seconds < 1e7 else 0)


def further(records: Records, now: datetime) -> datetime | None:
    """Return since when records must be read where the newest milestone's clock turns out to be wrong.

    None where it is right: then those that were chosen by their names are enough.
    """
    placed = in_order(records, now)
    milestones = [each for each in placed if is_milestone(each.record) and each.record.time <= now + AHEAD]
    if all(each.sure for each in milestones):
        return None
    return start(placed) or datetime.min.replace(tzinfo=now.tzinfo)


def is_milestone(record: Record) -> bool:
    """Tell whether nothing older than a record need be read; its file's name says so as well."""
    return known_ids(record) is not None


def known_ids(record: Record) -> tuple[str, ...] | None:
    """Return the archives that a milestone says should be there; None for any other record."""
    if record.action not in MILESTONES or "known_ids" not in record.details:
        return None
    return texts(record.details["known_ids"])


def texts(values: object) -> tuple[str, ...]:
    """Return the texts in a list of a record's details, whatever else stands there."""
    return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list | tuple) else ()


def _sound(record: Record) -> bool:
    """Return whether a record's fields hold what they should: files in a storage may hold anything."""
    texts = (record.archive, record.archive_id, record.config_sha256)
    numbers = (record.transaction, record.objects)
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(number is None or type(number) is int for number in numbers)
        and all(isinstance(each, str) for each in record.archive_ids or ())
        and isinstance(record.details, Mapping)
    )
