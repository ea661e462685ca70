"""Whether a new archive looks like its predecessors: has data gone, or was far more of it replaced than usual?

Reckoned from records alone, by numbers that borg gave at each backup: what the archive holds, in bytes and files, what
it added to the repository, and how far all of it could be compressed. An intruder who encrypts files replaces data,
while the size stays, by data that cannot be compressed; a release, an import or an upload makes the size grow by what
it adds. What happened before is usual: a log that is rotated each week, an import each month.

`bench.alarms` plays years of ordinary apps and of losses through these rules; docs/performance.md has its figures.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from statistics import median

from tasks import units
from tasks.records.record import Record, Records
from tasks.records.verdict import SAVING, verdict_of, verdicts
from tasks.sources.kinds import is_log

COMPRESSED = "compressed"  # in a record's details: bytes of all that the archive holds, compressed
FILES, TABLES = "files", "tables"  # in a record's details: how many, or a list of them
LAST = 7  # predecessors whose median is the usual
STEADY = 3  # or, where it is more, what all of so many had: after a release that made it larger
# Predecessors without which nothing is said of a loss, of replaced data, of a loss of somewhat less than half, of data
# that was replaced slowly. A log that is rotated each week has been rotated twice after 15 nights.
FEW, ENOUGH, TWO_WEEKS, THREE_WEEKS = 1, 3, 15, 22
HALF = 0.5
WINDOWS = (1, 7)  # backups over which replaced data is summed: at once, or little by little
# More than a half: where data grows, the median lags behind.
SHRUNK = 0.6  # after two weeks
SMALL = {"size": 1_000_000, FILES: 20, TABLES: 5}  # below so much, half says something only where the number is steady
NEARLY_ALL, STABLE = 0.1, 0.85
TIMES = 10  # so many times more than usual was replaced
SHARE = 0.1  # and so large a part of the whole
MUCH, MOST = 10_000_000, 0.5  # below so many bytes, only when most of the whole was replaced
LEAST = 100_000  # and never below so many: what borg notes of the files themselves is added as well
ALIKE = 0.7  # what was replaced before, and was at least so much of what is replaced now, makes it usual
NEARLY_WHOLE = 0.7  # of the whole replaced is far more than usual, whatever a backup adds as a rule
COMPRESSIBLE = 0.8  # data that compresses to less than this share shows by it whether it was encrypted


@dataclass(frozen=True)
class _Backup:
    """The numbers of one backup; None is what was not recorded."""

    size: int
    stored: int | None
    compressed: int | None
    files: int | None
    tables: int | None

    @property
    def ratio(self) -> float | None:
        """To which share of its size the data was compressed."""
        return self.compressed / self.size if self.compressed is not None and self.size else None


def unlike(made: Record, records: Records) -> tuple[str, ...]:
    """Return how a backup differs from the good ones of its source before it, a sentence each; empty when it does not.

    `records` are those of the app that are known, without that of the backup itself. The history begins with the newest
    archive that a person accepted: the present state is right then, however few backups there are since.
    """
    now = _numbers(made)
    if now is None or is_log(made.source):
        return ()
    past, accepted = _predecessors(made, records)
    since = past[accepted:]
    known = max(len(since), TWO_WEEKS if accepted and since else 0)
    odd = _shrunk(now, since, past, half=known >= TWO_WEEKS) if known >= FEW else []
    if known >= ENOUGH:
        odd += filter(None, [_replaced(now, since), _encrypted(now, since)])
    return tuple(odd)


def _predecessors(made: Record, records: Records) -> tuple[list[_Backup], int]:
    """Return the good backups before this one, oldest first, and where of these the newest accepted one stands."""
    known = verdicts(records)
    past: list[_Backup] = []
    accepted = 0
    for record in records.all:
        if record.action not in SAVING or record.source != made.source or record.time >= made.time:
            continue
        if record.outcome == "failed" or (numbers := _numbers(record)) is None:
            continue
        verdict = known.get(record.archive_id or "", verdict_of(record))
        if verdict.accepted:
            accepted = len(past)
        if verdict.good:
            past.append(numbers)
    return past, accepted


def _numbers(record: Record) -> _Backup | None:
    details = record.details if isinstance(record.details, Mapping) else {}
    size = _whole(record.size)
    if size is None:
        return None
    counts = (_count(details.get(name)) for name in (COMPRESSED, FILES, TABLES))
    return _Backup(size, _whole(record.stored), *counts)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _count(value: object) -> int | None:
    if isinstance(value, Sized) and not isinstance(value, str):
        return len(value)
    return _whole(value)


def _shrunk(now: _Backup, since: Sequence[_Backup], past: Sequence[_Backup], *, half: bool) -> list[str]:
    """Return what has gone: nearly all of the bytes, files or tables, or about `half`, as it never did before."""
    ways: tuple[tuple[str, Callable[[_Backup], int | None], Callable[[int], str]], ...] = (
        ("size", lambda backup: backup.size, units.size),
        (FILES, lambda backup: backup.files, lambda count: units.many(count, "file")),
        (TABLES, lambda backup: backup.tables, lambda count: units.many(count, "table")),
    )
    found = []
    for name, number, words in ways:
        value = number(now)
        usual = [each for backup in since[-LAST:] if (each := number(backup)) is not None]
        if value is None or not usual:
            continue
        middle = max(median(usual), min(usual[-STEADY:])) if half else median(usual)
        lowest = min(each for backup in since if (each := number(backup)) is not None)
        steady = len(since) >= TWO_WEEKS and lowest >= middle * STABLE
        telling = middle >= SMALL[name] or steady
        part = NEARLY_ALL if not telling else SHRUNK if half else HALF
        if value >= middle or value > middle * part:
            continue
        if not _fell_before(value, [each for backup in past if (each := number(backup)) is not None]):
            found.append(f"{words(value)}, where {words(int(middle))} are usual")
    return found


def _fell_before(value: int, past: Sequence[int]) -> bool:
    """Tell whether the numbers fell as low, from as high, before: as they do when a log is rotated."""
    highest = 0
    for each in past:
        if each <= value * 1.1 and each <= highest * SHRUNK:
            return True
        highest = max(highest, each)
    return False


def _replaced(now: _Backup, since: Sequence[_Backup]) -> str | None:
    """Say that far more data was replaced than usual: at once, or in the backups of about a week together."""
    if now.stored is None or any(backup.stored is None for backup in since):
        return None
    row = [*since, now]
    usual = median([backup.stored or 0 for backup in since[-LAST:]])
    for window in WINDOWS:
        if len(row) <= window:
            break
        most = max(SHARE * now.size, min(TIMES * usual * window, NEARLY_WHOLE * now.size), _least(now.size))
        replaced = [_beyond_growth(row, end, window) for end in range(window, len(row))]
        if replaced[-1] <= most or not _may_be_encrypted(now, row[-1 - window], replaced[-1]):
            continue
        if max(replaced[:-window], default=0) < replaced[-1] * ALIKE:
            nights = "" if window == 1 else f" in {window} backups"
            return (
                f"{units.size(int(replaced[-1]))} of {units.size(now.size)} replaced{nights}, where a backup adds "
                f"{units.size(int(usual))} as a rule: encrypted by an intruder?"
            )
    return None


def _least(size: int) -> float:
    return max(LEAST, min(MUCH, MOST * size))


def _beyond_growth(row: Sequence[_Backup], end: int, window: int) -> float:
    """Return what the `window` backups up to that of number `end` added beyond what the data grew by meanwhile."""
    added = sum(backup.stored or 0 for backup in row[end - window + 1 : end + 1])
    return added - max(0, row[end].size - row[end - window].size)


def _may_be_encrypted(now: _Backup, before: _Backup, replaced: float) -> bool:
    """Tell whether the new data can be an intruder's: it would compress worse. Unknown, or of data that never did: yes.

    A new release of a program, or a table that was rebuilt, is replaced as well, and compresses as before.
    """
    if now.ratio is None or before.ratio is None or before.ratio >= COMPRESSIBLE:
        return True
    return now.ratio - before.ratio > replaced / max(now.size, 1) * (1 - before.ratio) / 2


def _encrypted(now: _Backup, since: Sequence[_Backup]) -> str | None:
    """Say that data which could be compressed no longer can, beyond what the data grew by: however slowly it came.

    Held against each backup of the older half: what any of them was like is usual.
    """
    known = [(backup, backup.compressed) for backup in since if backup.compressed is not None and backup.size]
    if now.compressed is None or len(known) < THREE_WEEKS:
        return None
    older = known[: (len(known) + 1) // 2]
    beyond = min(now.compressed - compressed - max(0, now.size - backup.size) for backup, compressed in older)
    if beyond <= max(SHARE * now.size, _least(now.size)):
        return None
    before = median(compressed / backup.size for backup, compressed in older)
    text = f"compresses to {now.compressed / now.size:.0%} of its size, and did to {before:.0%}"
    return f"{text.replace('%', ' %')}: encrypted by an intruder?"
