"""Up to when a database can be brought to any moment: by its whole backups, and the binary logs that continue one.

The report promises by this what `restore --at` accepts by it. Records tell what the archives hold (see
`tasks/mariadb/binlogs.py`): of a whole backup the binary log that was open at the end of its copy; of each archive of
binary logs the first (`chain`) and the last of an unbroken row, and until when everything is in it. Archives must be in
the listing, or nothing is claimed of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.records.record import UNCHANGED, Record

POSITION, BINLOG = "position", "binlog"  # in the details of a whole backup's record, and of one of binary logs
REPLICATED = "replicated"  # in both, the replica's position, where what it replicates is in no binary log
BASE = "mariadb"  # the source of whole backups


@dataclass(frozen=True)
class _Log:
    """A binary log: names come again after a restore, not with the same time of making."""

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
    """A whole backup: when its copy ended, in which binary log (None: not known), as which replica stood then."""

    end: datetime
    log: _Log | None
    replicated: str


@dataclass(frozen=True)
class _Row:
    """An unbroken row of binary logs, as far as one record knows it."""

    first: _Log
    last: _Log
    until: datetime
    time: datetime
    details: Mapping[str, Any]
    replicated: str

    def holds(self, log: _Log) -> bool:
        """Tell whether a backup that ends in `log` can be continued by this row."""
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
    """Up to when a whole backup can be brought, in whole seconds.

    `saved` is what the record of binary logs has by which that is so, empty when no more than the backup itself can be
    had; `why` says, for a person, what nobody sees in the binary logs themselves that ends it.
    """

    until: datetime
    saved: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


UNLOGGED = (
    "the server replicates with log_slave_updates off: what it replicates is in no binary log, so no moment after a"
    " whole backup can be restored; set log_slave_updates and restart it"
)


class Moments:
    """What records know of an app's whole backups and binary logs. `listed` are the ids of its archives."""

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
        """Return up to when the whole backup of that archive can be brought; None when no record has it."""
        base = self.bases.get(base_id)
        if base is None:
            return None
        best, why = Reach(base.end), ""
        for row in sorted(self.rows, key=lambda row: row.until):
            # Of a row from which an archive was taken only what comes before that one counts.
            if base.log is None or not row.holds(base.log) or any(base.end < time <= row.time for time in self.gone):
                continue
            if row.until > base.end and row.replicated != base.replicated:
                why = UNLOGGED
                break
            if row.until > best.until:
                best = Reach(row.until, row.details)
        return Reach(best.until, best.saved, why)


def recoverable(records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
    """Return up to when the database can be recovered, and why not further than a whole backup (empty: nothing is odd).

    `listed` are the ids of the repository's archives.
    """
    moments = Moments(records, listed)
    reaches = [reach for base in moments.bases if (reach := moments.reach(base))]
    if not reaches:
        return None, ""
    best = max(reaches, key=lambda reach: reach.until)
    return best.until, best.why or _why(moments)


def ended(record: Record) -> datetime:
    """Return when a whole backup had ended, in whole seconds: a person names moments so."""
    return (record.time + timedelta(seconds=record.duration_seconds or 0)).replace(microsecond=0)


def _why(moments: Moments) -> str:
    newest = max(moments.rows, key=lambda row: row.time, default=None)
    logs = [base.log for base in moments.bases.values() if base.log is not None]
    if newest is None or any(newest.holds(log) for log in logs):
        return ""
    other = bool(logs) and all(log.server != newest.first.server for log in logs)
    changed = f", of another server_id ({newest.first.server})" if other else ""
    return f"no whole backup since the binary logs begin anew with {newest.first.name}{changed}: make one"


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
