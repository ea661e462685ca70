"""Up to which moment a database can be recovered: from its full backups, and the binary logs that continue one.

What the report promises from this, `restore --at` accepts by the same rules. It is based on records (see
`tasks/mariadb/binlogs.py`): a full backup's record has the binary log that was open at the end of its copy; the record
of each archive of binary logs has the first (`chain`) and the last log of an unbroken chain, and the time up to which
it is complete. Only archives in the listing count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.records.record import UNCHANGED, Record

POSITION, BINLOG = "position", "binlog"  # keys in the details of a full backup's record, and of a record of binary logs
REPLICATED = "replicated"  # in both: the replica's position, if what it replicates is in no binary log
BASE = "mariadb"  # the source of full backups


@dataclass(frozen=True)
class _Log:
    """A binary log: after a restore, names are reused, but not with the same creation time."""

    name: str
    server: int
    created: int

    @property
    def number(self) -> int:
        """Return the number in its name."""
        digits = self.name.rpartition(".")[2]
        return int(digits) if digits.isdecimal() else -1


@dataclass(frozen=True)
class _Base:
    """A full backup: when its copy ended, in which binary log (None: unknown), and the replica's position then."""

    end: datetime
    log: _Log | None
    replicated: str


@dataclass(frozen=True)
class _Row:
    """An unbroken chain of binary logs, as far as one record describes it."""

    first: _Log
    last: _Log
    until: datetime
    time: datetime
    details: Mapping[str, Any]
    replicated: str

    def holds(self, log: _Log) -> bool:
        """Return whether this chain continues a backup that ends in `log`."""
        if log.server != self.first.server or log.number < self.first.number or log.created < self.first.created:
            return False
        if log.number == self.first.number:
            return log == self.first
        if log.number == self.last.number:
            return log == self.last
        if log.number < self.last.number:
            return log.created <= self.last.created
        return log.created >= self.last.created


@dataclass(frozen=True)
class Reach:
    """The moment up to which a full backup can be brought, in whole seconds.

    `saved` is the state of the binary logs that lead there, empty if only the backup itself can be restored; `why` says
    what ends it, if the binary logs themselves do not show that.
    """

    until: datetime
    saved: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


UNLOGGED = (
    "the server replicates with log_slave_updates off: what it replicates is in no binary log, so no moment after a"
    " whole backup can be restored; set log_slave_updates and restart it"
)


class Moments:
    """An app's full backups and binary logs according to records. `listed` are the ids of its archives."""

    def __init__(self, records: Sequence[Record], listed: frozenset[str]) -> None:
        saved = [record for record in records if record.outcome != "failed"]
        self.bases = {
            each.archive_id: _Base(ended(each), _log(_details(each, POSITION)), _replicated(_details(each, POSITION)))
            for each in saved
            if (each.action, each.source) == ("backup", BASE) and each.archive_id and each.archive_id in listed
        }
        looked = [each for each in saved if each.source == "binlog" and each.action in ("backup", UNCHANGED)]
        self.rows = [row for each in looked if (row := _row(each))]
        self.gone = [each.time for each in looked if each.archive_id and each.archive_id not in listed]

    def reach(self, base_id: str) -> Reach | None:
        """Return how far the full backup of that archive can be brought; None if it has no record."""
        base = self.bases.get(base_id)
        if base is None:
            return None
        best, why = Reach(base.end), ""
        for row in sorted(self.rows, key=lambda row: row.until):
            # If an archive of a chain was removed, only what comes before it counts.
            if base.log is None or not row.holds(base.log) or any(base.end < time <= row.time for time in self.gone):
                continue
            if row.until > base.end and row.replicated != base.replicated:
                why = UNLOGGED
                break
            if row.until > best.until:
                best = Reach(row.until, row.details)
        return Reach(best.until, best.saved, why)


def recoverable(records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
    """Return the latest recoverable moment, and why it is not later than a full backup (empty if nothing is wrong).

    `listed` are the ids of the repository's archives.
    """
    moments = Moments(records, listed)
    reaches = [reach for base in moments.bases if (reach := moments.reach(base))]
    if not reaches:
        return None, ""
    best = max(reaches, key=lambda reach: reach.until)
    return best.until, best.why or _why(moments)


def recoverable_since(records: Sequence[Record], listed: frozenset[str]) -> datetime | None:
    """Return the earliest moment from which every later one up to the latest recoverable can be reached."""
    moments = Moments(records, listed)
    spans = sorted((base.end, reach.until) for each, base in moments.bases.items() if (reach := moments.reach(each)))
    since = until = None
    for start, end in spans:
        if until is None or start > until:
            since, until = start, end
        until = max(until, end)
    return since


def ended(record: Record) -> datetime:
    """Return when a full backup had ended, in whole seconds, as people specify moments."""
    return (record.time + timedelta(seconds=record.duration_seconds or 0)).replace(microsecond=0)


def _why(moments: Moments) -> str:
    newest = max(moments.rows, key=lambda row: row.time, default=None)
    logs = [base.log for base in moments.bases.values() if base.log is not None]
    if newest is None or any(newest.holds(log) for log in logs):
        return ""
    other = bool(logs) and all(log.server != newest.first.server for log in logs)
    changed = f", of another server_id ({newest.first.server})" if other else ""
    return f"no whole backup since the binary logs start over with {newest.first.name}{changed}: make one"


def _row(record: Record) -> _Row | None:
    details = _details(record, BINLOG)
    if not isinstance(details, Mapping):
        return None
    first, last, until = _log(details.get("chain")), _log(details.get("last")), details.get("until")
    if first is None or last is None or not isinstance(until, int) or not 0 < until < 2**36:
        return None
    return _Row(first, last, datetime.fromtimestamp(until, UTC), record.time, details, _replicated(details))


def _details(record: Record, name: str) -> object:
    return record.details.get(name) if isinstance(record.details, Mapping) else None


def _replicated(values: object) -> str:
    return str(values.get(REPLICATED, "")) if isinstance(values, Mapping) else ""


def _log(values: object) -> _Log | None:
    if not isinstance(values, Mapping):
        return None
    name, server, created = values.get("name"), values.get("server"), values.get("created")
    if not isinstance(name, str) or not isinstance(server, int) or not isinstance(created, int):
        return None
    return _Log(name, server, created)
