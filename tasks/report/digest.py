"""What happened within some days, over all apps: runs, failures, drills and growth, what needs attention first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.records.record import HISTORY, UNCHANGED, Record
from tasks.records.verdict import SAVING
from tasks.report.forecast import days_left
from tasks.report.rows import WORST_FIRST, Report, Row, StorageRow
from tasks.sources.kinds import is_log

BACKUP, DRILL = "backup", "verify"
ACTIONS = (BACKUP, DRILL, "check", "prune", "restore")  # in the order in which they are shown


@dataclass(frozen=True)
class Runs:
    """How many runs there were, and how many of them failed. `more`: there were more than were read."""

    done: int = 0
    failed: int = 0
    more: bool = False

    def __add__(self, other: "Runs") -> "Runs":
        return Runs(self.done + other.done, self.failed + other.failed, more=self.more or other.more)


@dataclass(frozen=True)
class Source:
    """What was done for a source of an app in a storage, and how it is now (`row`).

    `added` is what its backups added to the repository, `grown` how much more its newest archive holds
    than the first of these days; bytes, None if unknown.
    """

    row: Row
    backups: Runs
    drills: Runs
    added: int | None
    grown: int | None


@dataclass(frozen=True)
class Space:
    """A storage, the bytes that backups add to it a day, and the days until it is full; None if unknown."""

    row: StorageRow
    growth: int | None
    days_left: int | None


@dataclass(frozen=True)
class Digest:
    """The days from `since` to `until`: all runs by action, the sources (the worst first), and the storages."""

    since: datetime
    until: datetime
    runs: dict[str, Runs]
    sources: tuple[Source, ...]
    spaces: tuple[Space, ...]
    report: Report

    @property
    def wrong(self) -> list[Source]:
        """The sources that need a look, the worst first."""
        return [each for each in self.sources if not each.row.well]

    @property
    def unproven(self) -> list[Source]:
        """The sources that are well, and that no drill has proven within these days."""
        return [each for each in self.sources if each.row.status == "ok" and not self._proven(each.row)]

    def _proven(self, row: Row) -> bool:
        return is_log(row.source) or (row.proven is not None and row.proven >= self.since)


def digest(report: Report, span: timedelta) -> Digest:
    """Return the digest of the `span` before the report was made, of the records that were read for it."""
    since, until = report.generated - span, report.generated
    of = {
        key: [record for record in records if since < record.time <= until] for key, records in report.records.items()
    }
    every = [record for records in of.values() for record in records]
    ordered = sorted(report.apps, key=lambda row: WORST_FIRST.index(row.status))
    growth = {name: int(count) for name, count in report.growth.items()}
    return Digest(
        since,
        until,
        {action: _runs(record for record in every if _action(record) == action) for action in ACTIONS},
        tuple(_source(row, of.get((row.storage, row.app), ())) for row in ordered),
        tuple(Space(row, growth.get(row.storage), days_left(row, report)) for row in report.storages),
        report,
    )


def _action(record: Record) -> str:
    """Return what a run did; a backup that found nothing new is one."""
    return BACKUP if record.action in (*SAVING, UNCHANGED) else record.action


def _runs(records: Iterable[Record]) -> Runs:
    """Return how many runs these are. Of one kind, no more than HISTORY records are read."""
    kinds: dict[tuple[str, str, bool], int] = {}
    for record in records:
        key = (record.app, record.source or "", record.outcome == "failed")
        kinds[key] = kinds.get(key, 0) + 1
    failed = sum(count for (_, _, lost), count in kinds.items() if lost)
    return Runs(sum(kinds.values()), failed, more=any(count >= HISTORY for count in kinds.values()))


def _source(row: Row, records: Sequence[Record]) -> Source:
    own = [record for record in records if record.source == row.source]
    backups = [record for record in own if _action(record) == BACKUP]
    stored = [record.stored for record in backups if record.stored is not None]
    held = [record.size for record in backups if record.size is not None and record.outcome != "failed"]
    return Source(
        row,
        _runs(backups),
        _runs(record for record in own if record.action == DRILL),
        sum(stored) if stored else None,
        held[-1] - held[0] if held and not is_log(row.source) else None,
    )
