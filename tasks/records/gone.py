"""Files that are gone: how many of those of the backup before does a backup lack?

Sizes and numbers of files do not tell a loss from what comes and goes: beside an import that brings as many files as
were lost, or where the data grows all the time, half of it may be missing and the total looks usual. So when a backup
has noticeably fewer files than before, the two archives' lists are compared, which is one more look at the repository.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tasks.answers import whole_number
from tasks.records.record import Record, Records
from tasks.records.verdict import SAVING, verdict_of, verdicts
from tasks.units import many

GONE = "gone"  # in a record's details: {"count": 412, "of": 800}, files of the backup before that this one lacks
FEWER = 0.9  # compared below this part of the files of the backup before, or of the median of the last seven
LAST = 7
HALF = 0.45  # half, with some room for what came meanwhile
LEAST = 20  # files that the backup before must have: of fewer, half may be one
USUAL = 0.75  # a loss of this part of the present one, seen before, makes it usual
WEEK = 7  # good backups before it, from which on what comes and goes has shown itself


@dataclass(frozen=True)
class Gone:
    """`count` of the `of` files that the backup before had are not in a backup, nor elsewhere in it."""

    count: int
    of: int

    @property
    def part(self) -> float:
        """The share of files that are gone, from 0 to 1."""
        return self.count / self.of if self.of else 0.0

    @property
    def details(self) -> dict[str, dict[str, int]]:
        """The count for a record's details."""
        return {GONE: {"count": self.count, "of": self.of}}


def gone_of(record: Record) -> Gone | None:
    """Return the count in a record; None if the lists were not compared."""
    values = record.details.get(GONE)
    if not isinstance(values, Mapping):
        return None
    count, of = whole_number(values.get("count")), whole_number(values.get("of"))
    return Gone(count, of) if count is not None and of and count <= of else None


def predecessor(made: Record, records: Records) -> Record | None:
    """Return the good backup whose list is to be compared with a new one's; None if nothing calls for it."""
    past = _good_before(made, records)
    files = [count for record in past[-LAST:] if (count := _files(record)) is not None]
    now = _files(made)
    if now is None or not past or _files(past[-1]) is None:
        return None
    return past[-1] if files[-1] >= LEAST and now <= FEWER * max(files[-1], median(files)) else None


def lost(made: Record, records: Records) -> str | None:
    """Return a sentence if about half of the files of the backup before are gone, as never before."""
    gone = gone_of(made)
    if gone is None or gone.part < HALF or gone.of < LEAST:
        return None
    past = _good_before(made, records)
    if len(past) < WEEK or any((each := gone_of(record)) and each.part >= gone.part * USUAL for record in past):
        return None
    return f"{gone.count:,} of the {many(gone.of, 'file')} of the backup before are gone"


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
