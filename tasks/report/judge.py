"""Turns evidence into rows of the report. The listing decides which archives exist; records add the rest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tasks.borg.anomalies import CLOCKS_APART, Doubt
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive
from tasks.records.chronology import AHEAD, written
from tasks.records.record import UNCHANGED, Record, Records
from tasks.records.verdict import (
    ACCEPT,
    SAVING,
    Accepted,
    Verdict,
    has_verdict,
    settles,
    verdict_of,
    verdict_of_comment,
    verdicts,
)
from tasks.report.rows import Acceptance, Expected, LeftOut, Listed, Row, Status
from tasks.sources.registry import continuing
from tasks.times import age, day, paused_until

LARGEST = 2**63
NAMED = 3  # names of left-out paths shown in a row's line
LISTED = 20  # and in its list


@dataclass(frozen=True)
class Evidence:
    """What was found of one app: archives and records of all sources; None, with the error, if they could not be read.

    `doubts` are the repository's anomalies. `begun` are the names of archives that were announced and have no record
    yet. `comments` are those of archives without a record, by id. `unencrypted` is the error for an unencrypted
    repository, empty if it is encrypted. `others` are the known archives of none of the app's sources. `unreadable`:
    the storage answered, and the archives cannot be listed because of what is there.
    """

    archives: Sequence[Archive] | None
    records: Records | None
    archives_error: str | None = None
    records_error: str | None = None
    doubts: Sequence[Doubt] = ()
    begun: Collection[str] = ()
    comments: Mapping[str, str] = field(default_factory=dict)
    unencrypted: str = ""
    others: Sequence[Archive] = ()
    unreadable: bool = False


def judge(source: Expected, evidence: Evidence, now: datetime) -> Row:
    """Return the row of one source: see `_judged_awake`; while its app is paused, `paused` unless somebody interfered.

    Missing runs are then as they should be. That the repository contradicts the records, is not encrypted, or cannot be
    read although its storage answers, is not.
    """
    row = _judged_awake(source, evidence, now)
    if source.paused is None or now.astimezone().date() >= source.paused:
        return row
    interfered = bool(evidence.unencrypted) or any(doubt.about(source.source) for doubt in evidence.doubts)
    error = "; ".join(filter(None, [paused_until(source.paused), row.error]))
    status: Status = "failed" if interfered else row.status if evidence.unreadable else "paused"
    return replace(row, status=status, error=error, paused=source.paused.isoformat())


def _judged_awake(source: Expected, evidence: Evidence, now: datetime) -> Row:
    """Return the row of a source that is not paused. The first status that applies is used.

    failed: the newest backup failed and is newer than the newest archive; or the newest restore drill failed (a backup
    that cannot be restored is worthless); or the newest check failed; or the repository contradicts our records, or is
    not encrypted. missing: there is no archive, perhaps no repository. incomplete, suspect: the
    newest archive's verdict. late: the newest good archive is older than `source.max_age`. unknown: the repository
    could not be listed, or every archive is dated in the future, or neither record nor comment shows whether the newest
    archive is complete. ok: none of these. Every remark goes into `error`, whatever the status. A run that found
    nothing new to save counts as an archive, since everything was saved at that time.
    """
    history = _History(source, evidence.records, now)
    row = Row(
        source.app,
        source.host,
        source.storage,
        source.source,
        "unknown",
        proven=history.proven,
        read_share=history.read_share,
    )
    doubts = [doubt.text for doubt in evidence.doubts if doubt.about(source.source)]
    if evidence.archives is None:
        reason = evidence.archives_error or "the archives could not be listed"
        row = replace(row, error=_line([reason, *doubts, *_record_notes(evidence, history)]))
        return replace(row, status="failed") if doubts else row
    own = _own(source, evidence.archives)
    present = _dated(own, now)
    chosen = _Verdicts(evidence, history, present)
    newest = chosen.newest
    failures = history.failures(newest)
    until, why = _recoverable(source, evidence)
    notes = [
        *filter(None, [evidence.archives_error, evidence.unencrypted]),
        *_failure(failures, now),
        *_drill(history.failed_drill, now),
        *_check(history.failed_check, now),
        *chosen.notes(doubts, now),
        *doubts,
        *_record_notes(evidence, history),
        *filter(None, [why]),
    ]
    row = replace(
        row, archives=len(own), other_archives=len(evidence.others), error=_line(notes), recoverable_until=until
    )
    last = max(filter(None, [newest.start if newest else None, history.looked]), default=None)
    if last is None:
        return row if own else replace(row, status="missing")
    bad = bool(failures or history.failed_drill or history.failed_check or doubts or evidence.unencrypted)
    row = replace(row, status="failed" if bad else chosen.status or "ok")
    if row.status in ("unknown", "ok") and now - last > source.max_age:
        old, limit = age((now - last).total_seconds()), age(source.max_age.total_seconds())
        row = replace(row, status="late", error=_line([*notes, f"the newest archive is {old} old, max_age is {limit}"]))
    good = max(filter(None, [chosen.good, history.looked]), default=None)
    row = replace(row, last=last, last_good=good, age_seconds=max(int((now - last).total_seconds()), 0))
    return _newest(row, newest, history.of(newest), chosen.verdict) if newest else row


def unjudged(source: Expected, evidence: Evidence, now: datetime) -> str | None:
    """Return the name of a source's newest archive if it has no record; None if an anomaly already says so."""
    if evidence.archives is None or any(doubt.about(source.source) for doubt in evidence.doubts):
        return None
    present = _dated(_own(source, evidence.archives), now)
    newest = _Verdicts(evidence, _History(source, evidence.records, now), present)
    return newest.newest.name if newest.newest and newest.verdict is None else None


def listed(source: Expected, evidence: Evidence, now: datetime) -> list[Listed]:
    """Return a source's archives, each with the status that its verdict gives it."""
    own = _own(source, evidence.archives or ())
    recorded = sound(evidence.records)
    judged = _Verdicts(evidence, _History(source, evidence.records, now), own)
    proven = {record.archive_id for record in recorded if record.action == "verify" and record.outcome == "ok"}
    return [Listed(each.name, each.start, judged.status_of(each), each.id in proven) for each in own]


def against(source: Expected, evidence: Evidence, now: datetime) -> dict[Archive, list[str]]:
    """Return the objections to a source's archives that a person may accept: a verdict, a failed restore drill.

    Of the verdicts, only the newest archive's matters.
    """
    history, own = _History(source, evidence.records, now), _own(source, evidence.archives or ())
    found: dict[Archive, list[str]] = {}
    chosen = _Verdicts(evidence, history, _dated(own, now))
    if chosen.newest and chosen.status:
        text = _said(chosen.verdict) if chosen.verdict else "no record tells whether it is whole"
        found.setdefault(chosen.newest, []).append(text)
    drilled = next((each for each in own if history.failed_drill and each.id == history.failed_drill.archive_id), None)
    if drilled:
        found.setdefault(drilled, []).extend(_drill(history.failed_drill, now))
    return found


def _dated(own: Sequence[Archive], now: datetime) -> list[Archive]:
    """Return the archives that are not dated in the future."""
    return [archive for archive in own if archive.start <= now + CLOCKS_APART]


def _recoverable(source: Expected, evidence: Evidence) -> tuple[datetime | None, str]:
    """Return the moment up to which logs can recover a source, and, for the logs' own row, why not further."""
    if source.logs is None or evidence.archives is None:
        return None, ""
    listed = frozenset(archive.id for archive in evidence.archives)
    logs = continuing(source.logs)
    assert logs is not None, source.logs
    until, why = logs.reaches(sound(evidence.records), listed)
    return until, why if source.source == source.logs else ""


def _line(notes: list[str]) -> str | None:
    """Join the notes on one line, leaving out any that another note contains."""
    lines = list(dict.fromkeys(" ".join(note.split()) for note in notes))
    return "; ".join(line for line in lines if not any(line in other for other in lines if other != line)) or None


def _own(source: Expected, archives: Sequence[Archive]) -> list[Archive]:
    """Return the source's own archives, without checkpoints and names given by people."""
    mine = (source.app, *source.formerly)
    named = ((archive, archive_name.parse(archive.name)) for archive in archives)
    return [archive for archive, name in named if name and name.source == source.source and name.app in mine]


def sound(records: Records | None) -> list[Record]:
    """Return the records whose fields have valid values, oldest first: files in a storage may contain anything."""
    return [record for record in records.all if _sound(record)] if records else []


def _sound(record: Record) -> bool:
    texts = (record.app, record.action, record.source, record.error, record.archive, record.archive_id, record.operator)
    numbers = (record.size, record.stored, record.duration_seconds)
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(number is None or (isinstance(number, int | float) and abs(number) < LARGEST) for number in numbers)
        and isinstance(record.details, Mapping)
    )


def _drilled(record: Record, source: Expected) -> bool:
    return archive_name.names_source(record.archive, source.source)


def _made(record: Record, archive: Archive) -> bool:
    """Return whether a record belongs to exactly this archive: by its id if known, since a name can be reused."""
    return record.archive_id == archive.id if record.archive_id else record.archive == archive.name


class _History:
    """The records of one source, oldest first.

    A record dated in the future, from a wrong clock, never counts as the newest; it only describes the archive it
    names.
    """

    def __init__(self, source: Expected, records: Records | None, now: datetime) -> None:
        recorded = sound(records)
        self.broken = len(records.broken) + len(records.all) - len(recorded) if records else 0
        every = [record for record in recorded if record.time <= now + AHEAD]
        own = sorted((record for record in every if record.source == source.source), key=written)
        self.backups = [record for record in own if record.action in SAVING]
        self.since = min((record.time for record in self.backups or every), default=None)
        made = (record for record in recorded if record.action in SAVING and record.source == source.source)
        self.saved = [record for record in made if record.outcome != "failed" and record.archive]
        looks = (record.time for record in own if record.action == UNCHANGED and record.outcome == "ok")
        self.looked = max(looks, default=None)
        drills = [record for record in own if record.action == "verify" and _drilled(record, source)]
        self.proven = max((record.time for record in drills if record.outcome == "ok"), default=None)
        shares = [record.details.get("read_share") for record in drills if record.outcome == "ok"]
        self.read_share = shares[-1] if shares and isinstance(shares[-1], float | int) else None
        accepts = [record for record in own if record.action == ACCEPT and record.outcome == "ok"]
        failed = drills[-1] if drills and drills[-1].outcome == "failed" else None
        self.failed_drill = None if failed and any(settles(each, failed) for each in accepts) else failed
        checks = sorted((record for record in every if record.action == "check"), key=written)
        self.failed_check = checks[-1] if checks and checks[-1].outcome == "failed" else None

    def of(self, archive: Archive) -> Record | None:
        """Return the record of the backup that made an archive."""
        return next((record for record in reversed(self.saved) if _made(record, archive)), None)

    def failures(self, newest: Archive | None) -> list[Record]:
        """Return the failures after the newest archive and after the last success, oldest first."""
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


def _record_notes(evidence: Evidence, history: _History) -> list[str]:
    if evidence.records is None:
        return [f"records: {evidence.records_error or 'could not be read'}"]
    count = history.broken
    return [f"{count} broken record{'s' if count > 1 else ''}"] if count else []


def _newest(row: Row, newest: Archive, record: Record | None, verdict: Verdict | None) -> Row:
    row = replace(row, archive=newest.name, **_judged(verdict))
    if record is None:
        return row
    return replace(row, size=record.size, stored=record.stored, duration_seconds=record.duration_seconds)


def _judged(verdict: Verdict | None) -> dict[str, Any]:
    """Return a verdict as fields of a row; no fields if it is unknown."""
    if verdict is None:
        return {}
    return {
        "incomplete": LeftOut(verdict.left_out, verdict.first[:LISTED]),
        "suspect": "; ".join(verdict.suspect) or None,
        "verdict_accepted": _acceptance(verdict.accepted),
    }


def _acceptance(accepted: Accepted | None) -> Acceptance | None:
    if accepted is None:
        return None
    return Acceptance(accepted.record.operator, accepted.record.time, accepted.reason)


class _Verdicts:
    """The verdicts of one source's archives, and the archive that counts as the newest.

    An archive that was announced and has no record yet does not count: its backup has just ended, or its outcome was
    never recorded. If there is no other, it is the newest, with an unknown verdict.
    """

    def __init__(self, evidence: Evidence, history: "_History", archives: Sequence[Archive]) -> None:
        self._evidence = evidence
        self._history = history
        self._known = verdicts(Records(tuple(sound(evidence.records))))
        ordered = sorted(archives, key=lambda archive: archive.start, reverse=True)
        judged = [archive for archive in ordered if history.of(archive) or archive.name not in evidence.begun]
        self.newest = next(iter(judged or ordered), None)
        self.verdict = self._of(self.newest) if self.newest else None
        self.good = next((each.start for each in ordered if (found := self._of(each)) and found.good), None)

    def _of(self, archive: Archive) -> Verdict | None:
        """Return an archive's verdict; None if neither record nor comment has one."""
        if archive.id in self._known:
            return self._known[archive.id]
        if record := self._history.of(archive):
            return verdict_of(record)
        comment = self._evidence.comments.get(archive.id, archive.comment)
        return verdict_of_comment(comment) if has_verdict(comment) else None

    def status_of(self, archive: Archive) -> Status:
        """Return the status that an archive's verdict gives it."""
        verdict = self._of(archive)
        if verdict is None:
            return "unknown"
        return "ok" if verdict.good or verdict.status == "ok" else verdict.status

    @property
    def status(self) -> Status | None:
        """The row's status by the newest archive's verdict; None if the verdict is good."""
        if self.newest is None:
            return None
        if self.verdict is None:
            return "unknown"
        return None if self.verdict.good or self.verdict.status == "ok" else self.verdict.status

    def notes(self, doubts: Sequence[str], now: datetime) -> list[str]:
        """Return remarks on the newest archive's verdict, apart from what `doubts` already say."""
        verdict = self.verdict
        if self.newest is None:
            return []
        if verdict is None:
            said_already = self._evidence.records is None or any(self.newest.name in each for each in doubts)
            return [] if said_already else [f"no record tells whether {self.newest.name} is whole"]
        said = _said(verdict)
        if verdict.accepted:
            by, when = verdict.accepted.record.operator or "an unknown person", verdict.accepted.record.time
            return [f"accepted by {by} ({day(when, now)}): {verdict.accepted.reason}{f' ({said})' if said else ''}"]
        if not said:
            return []
        good = f"the last good one is of {day(self.good, now)}" if self.good else "no good one is known"
        return [f"{said}; {good}"]


def _said(verdict: Verdict) -> str:
    """Return a verdict in words; empty if it is ok."""
    parts = list(verdict.suspect)
    if verdict.left_out:
        more = verdict.left_out - len(verdict.first[:NAMED])
        rest = f" and {more} more" if more > 0 and verdict.first else ""
        names = f": {'; '.join(verdict.first[:NAMED])}{rest}" if verdict.first else ""
        parts.insert(0, f"{verdict.left_out} left out{names}")
    return "; ".join(parts)
