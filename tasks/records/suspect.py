"""Whether a new archive looks like its predecessors: has data disappeared, or was far more replaced than usual?

Computed from records alone, from numbers that borg reported at each backup: the archive's size in bytes and files, what
it added to the repository, and how well all of it compressed. An intruder who encrypts files replaces data with data
that does not compress, while the size stays the same; a release, an import or an upload makes the size grow by what it
adds. Whatever happened before counts as usual: a log rotated each week, an import each month.

`bench.alarms` runs years of ordinary apps and of losses through these rules; docs/performance.md has the figures.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from statistics import median

from tasks import units
from tasks.answers import whole_number
from tasks.records import gone, path_types
from tasks.records.record import Record, Records
from tasks.records.verdict import SAVING, verdict_of, verdicts
from tasks.sources.kinds import is_log

COMPRESSED = "compressed"  # in a record's details: compressed bytes of the archive's whole content
FILES, TABLES = "files", "tables"  # in a record's details: a number, a list, or a mapping with a `count`
LAST = 7  # predecessors whose median is the usual value
STEADY = 3  # or the minimum of the last three, if that is more: after a release that made it larger
# Number of predecessors required to report a loss, replaced data, a loss of somewhat less than half, and data
# replaced slowly. A log that is rotated each week has been rotated twice after 15 nights.
FEW, ENOUGH, TWO_WEEKS, THREE_WEEKS = 1, 3, 15, 22
HALF = 0.5
WINDOWS = (1, 7)  # backups over which replaced data is summed: at once, or little by little
# More than a half: where data grows, the median lags behind.
SHRUNK = 0.6  # after two weeks
LONG = 20  # suspect backups in a row, after which hardly any good one is known
SMALL = {
    "size": 1_000_000,
    COMPRESSED: 1_000_000,
    FILES: 20,
    TABLES: 5,
}  # below these, a loss of half counts only if the number was steady
NEARLY_ALL, STABLE = 0.1, 0.85
TIMES = 10  # this many times more than usual was replaced
SHARE = 0.1  # and this fraction of the whole
MUCH, MOST = 10_000_000, 0.5  # below this many bytes, only if most of the whole was replaced
LEAST = 100_000  # never below this many bytes: borg's own metadata about files counts as added too
ALIKE = 0.7  # earlier replacements of at least this fraction of the current one make it usual
NEARLY_WHOLE = 0.7  # replacing this fraction of the whole is unusual, whatever a backup normally adds
ALL, INCOMPRESSIBLE = 0.9, 0.95  # replaced by what compresses to no less than this: encrypted, however small it is
COMPRESSIBLE = 0.8  # only data that compresses to less than this fraction can show that it was encrypted


@dataclass(frozen=True)
class _Backup:
    """The numbers of one backup; None where not recorded."""

    size: int
    stored: int | None
    compressed: int | None
    files: int | None
    tables: int | None

    @property
    def ratio(self) -> float | None:
        """The compressed size as a fraction of the size."""
        return self.compressed / self.size if self.compressed is not None and self.size else None


def unlike(made: Record, records: Records) -> tuple[str, ...]:
    """Return how a backup differs from the good ones of its source before it, a sentence each; empty if it does not.

    `records` are the app's known records, without this backup's own. The history starts with the newest archive that a
    person accepted: that state counts as right, however few backups there are since.
    """
    now = _numbers(made)
    if now is None or is_log(made.source):
        return ()
    history = _history(made, records)
    since, open_ = history.good[history.accepted :], history.open
    known = max(len(since), TWO_WEEKS if history.accepted and since else 0) + (len(open_) if since else 0)
    ways = _TABLES if gone.comes_and_goes(made, records) else _WAYS
    odd = _shrunk(now, since, history.good, ways, half=known >= TWO_WEEKS) if known >= FEW else []
    if not odd:
        odd += filter(None, [gone.lost(made, records)])
    if len(since) >= ENOUGH:
        whole = _with_what_came(now, since, open_)
        odd += filter(None, [_replaced(whole, since) or _all_encrypted(whole, since)])
        odd += filter(None, [_encrypted(now, since, len(open_))])
    if not odd and len(since) < ENOUGH and history.suspects >= LONG:
        odd.append(f"none of the {len(open_)} backups before it was good, and nobody has accepted one")
    return (*odd, *path_types.changed(made, records))


@dataclass
class _History:
    """The backups before one, oldest first: the good ones, and those after them that are not good and `open`.

    `accepted` is the index of the newest good one that a person accepted, `suspects` how many open ones are suspect.
    """

    good: list[_Backup]
    open: list[_Backup]
    accepted: int = 0
    suspects: int = 0


def _history(made: Record, records: Records) -> _History:
    known = verdicts(records)
    found = _History([], [])
    for record in records.all:
        if record.action not in SAVING or record.source != made.source or record.time >= made.time:
            continue
        if record.outcome == "failed" or (numbers := _numbers(record)) is None:
            continue
        verdict = known.get(record.archive_id or "", verdict_of(record))
        if verdict.accepted:
            found.accepted = len(found.good)
        if verdict.good:
            found.good.append(numbers)
            found.open, found.suspects = [], 0
        else:
            found.open.append(numbers)
            found.suspects += bool(verdict.suspect)
    return found


def _with_what_came(now: _Backup, since: Sequence[_Backup], open_: Sequence[_Backup]) -> _Backup:
    """Return a backup as if those before it that are not good had not been made: it would have added what they added.

    So what was replaced stays suspect until a person accepts it, or the content is as it was. Of each, what a backup
    adds as a rule is left out.
    """
    usual = median([backup.stored or 0 for backup in since[-LAST:]])
    more = sum(max(0, (backup.stored or 0) - int(usual)) for backup in open_)
    return now if now.stored is None else replace(now, stored=now.stored + more)


def _numbers(record: Record) -> _Backup | None:
    details = record.details if isinstance(record.details, Mapping) else {}
    size = whole_number(record.size)
    if size is None:
        return None
    counts = (_count(details.get(name)) for name in (COMPRESSED, FILES, TABLES))
    return _Backup(size, whole_number(record.stored), *counts)


def _count(value: object) -> int | None:
    if isinstance(value, Mapping):
        return whole_number(value.get("count"))
    if isinstance(value, Sized) and not isinstance(value, str):
        return len(value)
    return whole_number(value)


_Ways = tuple[tuple[str, Callable[[_Backup], int | None], Callable[[int], str]], ...]
_TABLES: _Ways = ((TABLES, lambda backup: backup.tables, lambda count: units.many(count, "table")),)
_WAYS: _Ways = (
    ("size", lambda backup: backup.size, units.size),
    (FILES, lambda backup: backup.files, lambda count: units.many(count, "file")),
    *_TABLES,
    (COMPRESSED, lambda backup: backup.compressed, lambda count: f"{units.size(count)} compressed"),
)


def _shrunk(now: _Backup, since: Sequence[_Backup], past: Sequence[_Backup], ways: _Ways, *, half: bool) -> list[str]:
    """Return what was lost: nearly all of the bytes, files or tables, or about `half`; never seen before."""
    found: list[str] = []
    for name, number, words in ways:
        value = number(now)
        usual = [each for backup in since[-LAST:] if (each := number(backup)) is not None]
        if value is None or not usual or (name == COMPRESSED and found):
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
    """Return whether the numbers fell as low, from as high, before, as they do when a log is rotated."""
    highest = 0
    for each in past:
        if each <= value * 1.1 and each <= highest * SHRUNK:
            return True
        highest = max(highest, each)
    return False


def _replaced(now: _Backup, since: Sequence[_Backup]) -> str | None:
    """Return a sentence if far more data was replaced than usual: at once, or in about a week of backups together."""
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
    """Return the bytes that the `window` backups up to number `end` added beyond the growth of the data."""
    added = sum(backup.stored or 0 for backup in row[end - window + 1 : end + 1])
    return added - max(0, row[end].size - row[end - window].size)


def _may_be_encrypted(now: _Backup, before: _Backup, replaced: float) -> bool:
    """Return whether the new data may be encrypted: it compresses worse, or that is unknown or cannot be seen.

    A new release of a program, or a rebuilt table, is replaced data too, but compresses as before.
    """
    if now.ratio is None or before.ratio is None or before.ratio >= COMPRESSIBLE:
        return True
    return now.ratio - before.ratio > replaced / max(now.size, 1) * (1 - before.ratio) / 2


def _all_encrypted(now: _Backup, since: Sequence[_Backup]) -> str | None:
    """Return a sentence if all was replaced by what does not compress, which holds for the smallest apps as well."""
    ratios = [backup.ratio for backup in since if backup.ratio is not None]
    if now.stored is None or now.ratio is None or len(ratios) < ENOUGH:
        return None
    replaced = now.stored - max(0, now.size - since[-1].size)
    all_of_it = replaced >= ALL * min(now.size, since[-1].size) > 0
    if not all_of_it or now.ratio < INCOMPRESSIBLE or max(ratios) > COMPRESSIBLE:
        return None
    text = f"nearly all is new, and compresses to {now.ratio:.0%} of its size, before to {max(ratios):.0%} at most"
    return f"{text.replace('%', ' %')}: encrypted by an intruder?"


def _encrypted(now: _Backup, since: Sequence[_Backup], more: int) -> str | None:
    """Return a sentence if compressible data no longer compresses, beyond the growth, however slowly it changed.

    Compared with each backup of the older half: any state that one of them had is usual. `more` backups after them are
    not good, and have pushed as many good ones out of sight.
    """
    known = [(backup, backup.compressed) for backup in since if backup.compressed is not None and backup.size]
    if now.compressed is None or len(known) + more < THREE_WEEKS:
        return None
    older = known[: (len(known) + 1) // 2]
    beyond = min(now.compressed - compressed - max(0, now.size - backup.size) for backup, compressed in older)
    if beyond <= max(SHARE * now.size, _least(now.size)):
        return None
    before = median(compressed / backup.size for backup, compressed in older)
    text = f"compresses to {now.compressed / now.size:.0%} of its size, and did to {before:.0%}"
    return f"{text.replace('%', ' %')}: encrypted by an intruder?"
