"""From what was found to what it means. The listing is the truth about archives, records tell what it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.borg import naming
from tasks.borg.doubts import CLOCKS_APART, Doubt
from tasks.borg.list import Archive
from tasks.report.human import day
from tasks.report.recoverable import recoverable
from tasks.report.rows import Expected, Row
from tasks.storage.records import UNCHANGED, Record, Records

LARGEST = 2**63


@dataclass(frozen=True)
class Evidence:
    """What was found of one app: its archives and records, of all sources; None, and why, for what could not be had.

    `doubts` is what looks wrong in the repository.
    """

    archives: Sequence[Archive] | None
    records: Records | None
    archives_error: str | None = None
    records_error: str | None = None
    doubts: Sequence[Doubt] = ()


def judge(source: Expected, evidence: Evidence, now: datetime) -> Row:
    """Return the row of one source.

    unknown: the listing could not be had, or every archive is dated in the future. missing: there is no archive.
    failed: the newest backup's record is a failure, newer than the newest archive; or so is the newest restore drill's,
    for a backup that could not be restored is none; or so is the newest check's; or the repository does not look as our
    records say. late: the newest archive is older than `source.max_age`. ok: none of these. Everything odd stands in
    `error`, whatever the status. A look that found nothing new to save counts as an archive: all was saved then.
    """
    history = _History(source, evidence.records)
    row = Row(source.app, source.host, source.storage, source.source, "unknown", proven=history.proven)
    doubts = [doubt.text for doubt in evidence.doubts if doubt.about(source.source)]
    if evidence.archives is None:
        reason = evidence.archives_error or "the archives could not be listed"
        row = replace(row, error=_line([reason, *doubts, *_record_notes(evidence, history)]))
        return replace(row, status="failed") if doubts else row
    own = _own(source, evidence.archives)
    ahead = [archive for archive in own if archive.start > now + CLOCKS_APART]
    newest = max((archive for archive in own if archive not in ahead), key=lambda archive: archive.start, default=None)
    failures = history.failures(newest)
    until, why = _recoverable(source, evidence)
    notes = [
        *_failure(failures, now),
        *_drill(history.failed_drill, now),
        *_check(history.failed_check, now),
        *_warning(history.of(newest) if newest else None),
        *doubts,
        *_record_notes(evidence, history),
        *filter(None, [why]),
    ]
    row = replace(row, archives=len(own), error=_line(notes), recoverable_until=until)
    last = max(filter(None, [newest.start if newest else None, history.looked]), default=None)
    if last is None:
        return row if ahead else replace(row, status="missing")
    late = now - last > source.max_age
    bad = failures or history.failed_drill or history.failed_check or doubts
    row = replace(row, status="failed" if bad else "late" if late else "ok")
    row = replace(row, last=last, age_seconds=max(int((now - last).total_seconds()), 0))
    return _newest(row, newest, history.of(newest)) if newest else row


def _recoverable(source: Expected, evidence: Evidence) -> tuple[datetime | None, str]:
    """Return up to when the database can be recovered, and for the row of its binary logs why not further."""
    if not source.binlog or evidence.archives is None:
        return None, ""
    until, why = recoverable(sound(evidence.records), frozenset(archive.id for archive in evidence.archives))
    return until, why if source.source == "binlog" else ""


def _line(notes: list[str]) -> str | None:
    return "; ".join(" ".join(note.split()) for note in notes) or None


def _own(source: Expected, archives: Sequence[Archive]) -> list[Archive]:
    """Return the source's archives: checkpoints and names that people gave are none."""
    named = ((archive, naming.parse(archive.name)) for archive in archives)
    return [archive for archive, name in named if name and (name.app, name.source) == (source.app, source.source)]


def sound(records: Records | None) -> list[Record]:
    """Return the records whose fields hold what they should, oldest first: files in a storage may hold anything."""
    return [record for record in records.all if _sound(record)] if records else []


def _sound(record: Record) -> bool:
    texts = (record.app, record.action, record.source, record.error, record.archive, record.archive_id)
    numbers = (record.size, record.stored, record.duration_seconds)
    return all(text is None or isinstance(text, str) for text in texts) and all(
        number is None or (isinstance(number, int | float) and abs(number) < LARGEST) for number in numbers
    )


def _made(record: Record, archive: Archive) -> bool:
    """Return whether a record tells of that very archive: by its id where known, for a name can be taken again."""
    return record.archive_id == archive.id if record.archive_id else record.archive == archive.name


class _History:
    """The records of one source, oldest first."""

    def __init__(self, source: Expected, records: Records | None) -> None:
        every = sound(records)
        self.broken = len(records.broken) + len(records.all) - len(every) if records else 0
        own = sorted((record for record in every if record.source == source.source), key=lambda record: record.time)
        self.backups = [record for record in own if record.action == "backup"]
        self.since = min((record.time for record in self.backups or every), default=None)
        self.saved = [record for record in self.backups if record.outcome != "failed" and record.archive]
        looks = (record.time for record in own if record.action == UNCHANGED and record.outcome == "ok")
        self.looked = max(looks, default=None)
        drills = [record for record in own if record.action == "verify"]
        self.proven = max((record.time for record in drills if record.outcome == "ok"), default=None)
        self.failed_drill = drills[-1] if drills and drills[-1].outcome == "failed" else None
        checks = sorted((record for record in every if record.action == "check"), key=lambda record: record.time)
        self.failed_check = checks[-1] if checks and checks[-1].outcome == "failed" else None

    def of(self, archive: Archive) -> Record | None:
        """Return the record of the backup that made an archive."""
        return next((record for record in reversed(self.saved) if _made(record, archive)), None)

    def failures(self, newest: Archive | None) -> list[Record]:
        """Return the failures that came after the newest archive and after any success, oldest first."""
        record = self.of(newest) if newest else None
        saved = record.time if record else newest.start if newest else None
        saved = max(filter(None, [saved, self.looked]), default=None)
        failures: list[Record] = []
        for backup in reversed(self.backups):
            if backup.outcome != "failed" or (saved is not None and backup.time <= saved):
                break
            failures.insert(0, backup)
        return failures


def _failure(failures: list[Record], now: datetime) -> list[str]:
    if not failures:
        return []
    text = failures[-1].error or "the last backup failed"
    return [text if len(failures) == 1 else f"{text} (since {day(failures[0].time, now)})"]


def _drill(failed: Record | None, now: datetime) -> list[str]:
    if failed is None:
        return []
    of = f" of {failed.archive}" if failed.archive else ""
    return [f"restore drill{of} failed ({day(failed.time, now)}): {failed.error or 'it does not say why'}"]


def _check(failed: Record | None, now: datetime) -> list[str]:
    return [f"check failed ({day(failed.time, now)}): {failed.error or 'it does not say why'}"] if failed else []


def _warning(record: Record | None) -> list[str]:
    return [record.error] if record and record.outcome == "warning" and record.error else []


def _record_notes(evidence: Evidence, history: _History) -> list[str]:
    if evidence.records is None:
        return [f"records: {evidence.records_error or 'could not be read'}"]
    count = history.broken
    return [f"{count} broken record{'s' if count > 1 else ''}"] if count else []


def _newest(row: Row, newest: Archive, record: Record | None) -> Row:
    row = replace(row, archive=newest.name)
    if record is None:
        return row
    return replace(row, size=record.size, stored=record.stored, duration_seconds=record.duration_seconds)
