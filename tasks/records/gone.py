"""Files that are gone: how many of those of the backup before does a backup lack?

Sizes and numbers of files do not tell a loss from what comes and goes: beside an import that brings as many files as
were lost, or where the data grows all the time, half of it may be missing and the total looks usual. So when a backup
has noticeably fewer files than before, the two archives' lists are compared, which is one more look at the repository.

A cache that is emptied now and then loses files that are young. So those that had not changed for a month are counted
by themselves: as long as they are all there, what comes and goes beside them is usual; and where half of them are gone
as never before, that is a loss, however much comes and goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from tasks.answers import whole_number
from tasks.records.record import Record, Records
from tasks.records.verdict import SAVING, verdict_of, verdicts
from tasks.units import many

GONE = "gone"  # in a record's details: files of the backup before that this one lacks, as `Gone.details` has them
SETTLED = timedelta(days=30)  # a file that had not changed for so long is settled
FEWER = 0.9  # compared below this part of the files of the backup before, or of the median of the last seven
SHORT = 1000  # or, of lists up to so long, of the highest of the last seven
LAST = 7
HALF = 0.45  # half, with some room for what came meanwhile
LEAST = 20  # files that the backup before must have: of fewer, half may be one
FEWEST = 2  # settled files that it must have: with fewer, there is nothing to compare
USUAL = 0.75  # a loss of this part of the present one, seen before, makes it usual
WEEK = 7  # good backups before it, from which on what comes and goes has shown itself
NEW, TIMES = 0.5, 10  # compared as well if this part of the data is new, and this many times more than as a rule
ALL, ENOUGH = 0.9, 3  # as many files, of which this part is not of those before; from so many good backups on
INTACT = 0.1  # fewer settled files than this part of them are gone, or none that matter


@dataclass(frozen=True)
class Loss:
    """`count` of `of` files are gone, and with them `size` of `of_size` bytes."""

    count: int
    of: int
    size: int = 0
    of_size: int = 0

    @property
    def part(self) -> float:
        """The share of files that are gone, from 0 to 1."""
        return self.count / self.of if self.of else 0.0

    @property
    def part_of_size(self) -> float:
        """The share of bytes that are gone, from 0 to 1."""
        return self.size / self.of_size if self.of_size else 0.0

    @property
    def details(self) -> dict[str, int]:
        """The numbers for a record's details."""
        return {"count": self.count, "of": self.of, "size": self.size, "of_size": self.of_size}


@dataclass(frozen=True)
class Gone:
    """What of the backup before is not in a backup, nor elsewhere in it: of all files, and of the settled ones.

    `settled` is of no files in records of earlier versions, which did not count them.
    """

    all: Loss
    settled: Loss = Loss(0, 0)
    new: bool = False  # as many files as before: compared because half of the data is new

    @property
    def details(self) -> dict[str, object]:
        """The numbers for a record's details."""
        return {GONE: {**self.all.details, "settled": self.settled.details, **({"new": True} if self.new else {})}}


def gone_of(record: Record) -> Gone | None:
    """Return what a record says is gone; None if the lists were not compared."""
    values = record.details.get(GONE)
    found = _loss(values)
    if found is None or not isinstance(values, Mapping):
        return None
    return Gone(found, _loss(values.get("settled")) or Loss(0, 0), values.get("new") is True)


def _loss(values: object) -> Loss | None:
    if not isinstance(values, Mapping):
        return None
    numbers = [whole_number(values.get(name)) for name in ("count", "of", "size", "of_size")]
    count, of, size, of_size = numbers
    if count is None or not of or count > of:
        return None
    return Loss(count, of, min(size or 0, of_size or 0), of_size or 0)


def predecessor(made: Record, records: Records) -> Record | None:
    """Return the good backup whose list is to be compared with a new one's; None if nothing calls for it."""
    past = _good_before(made, records)
    files = [count for record in past[-LAST:] if (count := _files(record)) is not None]
    now = _files(made)
    if now is None or not past or _files(past[-1]) is None:
        return None
    fewer = _fewer(now, files)
    return past[-1] if files[-1] >= FEWEST and (fewer or _half_is_new(made, past, records)) else None


def has_fewer(made: Record, records: Records) -> bool:
    """Return whether a backup has noticeably fewer files than those before it."""
    files = [count for record in _good_before(made, records)[-LAST:] if (count := _files(record)) is not None]
    now = _files(made)
    return now is not None and bool(files) and _fewer(now, files)


def _fewer(now: int, files: Sequence[int]) -> bool:
    return now <= FEWER * (max(files) if max(files) <= SHORT else max(files[-1], median(files)))


def _half_is_new(made: Record, past: Sequence[Record], records: Records) -> bool:
    """Return whether half of the data came since the good backup before, and far more than comes as a rule."""
    since = [
        record
        for record in records.all
        if record.action in SAVING and record.source == made.source and past[-1].time < record.time < made.time
    ]
    usual = [stored for record in past[-LAST:] if (stored := whole_number(record.stored)) is not None]
    came = sum(whole_number(record.stored) or 0 for record in (*since, made)) - max(
        0, (made.size or 0) - (past[-1].size or 0)
    )
    whole = whole_number(made.details.get("compressed")) or made.size or 0
    return bool(usual) and came >= NEW * whole > 0 and came >= TIMES * median(usual)


def lost(made: Record, records: Records) -> str | None:
    """Return a sentence if about half of the files of the backup before are gone, as never before."""
    gone = gone_of(made)
    if gone is None:
        return None
    past = _good_before(made, records)
    before = [each for each in _compared(past) if each.new == gone.new]
    if gone.new:
        return _all_new(gone, before) if len(past) >= ENOUGH else None
    if half := _half_of_the_settled(gone, before):
        return half
    of_all = gone.all
    if of_all.part < HALF or of_all.of < LEAST or len(past) < WEEK or _usual(of_all, before):
        return None
    return f"{of_all.count:,} of the {many(of_all.of, 'file')} of the backup before are gone"


def _all_new(gone: Gone, before: Sequence[Gone]) -> str | None:
    """Return a sentence if hardly any file of the backup before is there, though there are as many; never seen before.

    Of fewer, a release whose files have a hash of their content in their names would be taken for it.
    """
    parts = [gone.all.part, *([gone.settled.part] if gone.settled.of >= FEWEST else [])]
    if gone.all.of < LEAST or min(parts) < ALL or any(each.all.part >= gone.all.part * USUAL for each in before):
        return None
    return (
        f"{gone.all.count:,} of the {many(gone.all.of, 'file')} of the backup before are gone, and as many others came"
    )


def _half_of_the_settled(gone: Gone, before: Sequence[Gone]) -> str | None:
    """Return a sentence if half is gone of all and of what was settled, whatever comes and goes; never seen before."""
    settled = gone.settled
    if settled.of < FEWEST:
        return None
    of_files = min(settled.part, gone.all.part)
    if of_files < HALF or any(each.settled.part >= settled.part * USUAL for each in before):
        return None
    what = f"{settled.count:,} of the {many(settled.of, 'file')} that had not changed for {SETTLED.days} days are gone"
    return f"{what}, and of all {gone.all.count:,} of {gone.all.of:,}"


def comes_and_goes(made: Record, records: Records) -> bool:
    """Return whether what a backup lacks is of the kind that was gone before: young files, and as many of them.

    What is settled is all there, and the archive is smaller by no more than the files that are gone.
    """
    gone, past = gone_of(made), _good_before(made, records)
    size = past[-1].size if past else None
    if gone is None or gone.new or gone.settled.of < FEWEST or made.size is None or size is None:
        return False
    settled = gone.settled
    if max(settled.part, settled.part_of_size) >= INTACT or not _usual(
        gone.all, [each for each in _compared(past) if not each.new]
    ):
        return False
    return size - made.size <= gone.all.size + INTACT * size


def _usual(loss: Loss, before: Sequence[Gone]) -> bool:
    return any(each.all.part >= loss.part * USUAL for each in before)


def _compared(past: Sequence[Record]) -> Iterator[Gone]:
    return (each for record in past if (each := gone_of(record)))


def _files(record: Record) -> int | None:
    return whole_number(record.details.get("files"))


def _good_before(made: Record, records: Records) -> Sequence[Record]:
    """Return the good backups of the same source before this one, oldest first."""
    known = verdicts(records)
    return [
        record
        for record in records.all
        if record.action in SAVING
        and record.source == made.source
        and record.outcome != "failed"
        and record.archive
        and record.time < made.time
        and known.get(record.archive_id or "", verdict_of(record)).good
    ]
