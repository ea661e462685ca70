"""Up to when a database can be brought to any moment: by its whole backups, and the binary logs that continue one.

Records tell what the archives hold (see `tasks/mariadb/binlogs.py`): of a whole backup the binary log that was open at
the end of its copy; of each archive of binary logs the first (`chain`) and the last of an unbroken row, and until when
everything is in it. Archives must be in the listing, or nothing is claimed of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tasks.storage.records import UNCHANGED, Record


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
class _Row:
    """An unbroken row of binary logs, as far as one record knows it."""

    first: _Log
    last: _Log
    until: datetime
    time: datetime

    def holds(self, log: _Log) -> bool:
        """Tell whether a backup that ends in `log` can be continued by this row."""
        if log.server != self.first.server or log.number < self.first.number or log.created < self.first.created:
            return False
        if log.number == self.first.number:
            return log == self.first
        if log.number == self.last.number:
            return log == self.last
        return (log.number < self.last.number) == (log.created <= self.last.created)


def recoverable(records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
    """Return up to when the database can be recovered, and why not further than a whole backup (empty: nothing is odd).

    `listed` are the ids of the repository's archives.
    """
    saved = [record for record in records if record.outcome != "failed"]
    bases = [
        each for each in saved if (each.action, each.source) == ("backup", "mariadb") and each.archive_id in listed
    ]
    if not bases:
        return None, ""
    ends = {_end(base): _log(_details(base, "position")) for base in bases}
    rows = [
        row
        for each in saved
        if each.source == "binlog" and each.action in ("backup", UNCHANGED) and (row := _row(each))
    ]
    gone = [
        each.time for each in saved if each.source == "binlog" and each.archive_id and each.archive_id not in listed
    ]
    until = max(ends)
    for row in rows:
        begins = [end for end, log in ends.items() if log is not None and row.holds(log)]
        # Of a row from which an archive was taken only what comes before that one counts.
        if begins and not any(min(begins) < time <= row.time for time in gone):
            until = max(until, row.until)
    return until, _why(rows, [log for log in ends.values() if log is not None])


def _why(rows: Sequence[_Row], logs: Sequence[_Log]) -> str:
    newest = max(rows, key=lambda row: row.time, default=None)
    if newest is None or any(newest.holds(log) for log in logs):
        return ""
    return f"no whole backup since the binary logs begin anew with {newest.first.name}: make one"


def _end(record: Record) -> datetime:
    return record.time + timedelta(seconds=record.duration_seconds or 0)


def _row(record: Record) -> _Row | None:
    details = _details(record, "binlog")
    if not isinstance(details, Mapping):
        return None
    first, last, until = _log(details.get("chain")), _log(details.get("last")), details.get("until")
    if first is None or last is None or not isinstance(until, int) or not 0 < until < 2**36:
        return None
    return _Row(first, last, datetime.fromtimestamp(until, UTC), record.time)


def _details(record: Record, name: str) -> object:
    return record.details.get(name) if isinstance(record.details, Mapping) else None


def _log(values: object) -> _Log | None:
    if not isinstance(values, Mapping):
        return None
    name, server, created = values.get("name"), values.get("server"), values.get("created")
    if not isinstance(name, str) or not isinstance(server, int) or not isinstance(created, int):
        return None
    return _Log(name, server, created)
