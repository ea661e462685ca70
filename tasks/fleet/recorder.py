"""After an action: compare the outcome with the repository's listing, and write a record."""

from collections.abc import Sequence
from dataclasses import replace

from tasks.borg import encryption
from tasks.borg.catalog import Anew, known_records, looked_anew
from tasks.borg.choice import Choice
from tasks.borg.client.runner import How
from tasks.borg.gone import gone
from tasks.crash import foreseen
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.gone import SETTLED, has_fewer, predecessor
from tasks.records.record import UNCHANGED, Record, Records, operator_name
from tasks.records.suspect import unlike
from tasks.records.verdict import SUSPECT, UNLISTED
from tasks.run.outcome import Outcome, Status
from tasks.run.session import Session
from tasks.sources.kinds import is_log
from tasks.storage.repository import Side

DOUBTS = "doubts"  # key in the details: repository anomalies, one sentence each


def confirmed(session: Session, app: App, outcomes: Sequence[Outcome], *, judged: bool = False) -> list[Outcome]:
    """Compare outcomes with a listing of the repository: a new archive that is not listed was not saved.

    They are also compared with the archives before them, unless `judged`.

    The operator lists the repository, so that a host cannot vouch for itself. If it cannot be listed, the outcome
    becomes a warning, because only the host's borg said that the archive is complete. Other anomalies of the repository
    go into the details, as `doubts`.
    """
    if not any(outcome.archive for outcome in outcomes):
        return list(outcomes)
    try:
        made = {outcome.archive_id: outcome.archive or "" for outcome in outcomes if outcome.archive_id}
        with foreseen(app.name):
            found = looked_anew(session, app, How(lock_wait=60, timeout=300), made)
    except CloudbackupError as error:
        known = Records(()) if judged else known_records(session, app)
        return [_doubted(likened(outcome, known), f"{UNLISTED}: {error.what}") for outcome in outcomes]
    if judged:
        return [_compared(outcome, found) for outcome in outcomes]
    counted = [_counted(session, app, _compared(outcome, found), found) for outcome in outcomes]
    return [likened(outcome, found.records) for outcome in counted]


def likened(outcome: Outcome, records: Records) -> Outcome:
    """Return the outcome, as suspect with the reasons if its archive is unlike earlier good ones of its source."""
    if outcome.failed or not outcome.archive:
        return outcome
    odd = unlike(record_of(outcome, "backup"), records)
    return _odd(outcome, *odd) if odd else outcome


def _counted(session: Session, app: App, outcome: Outcome, found: Anew) -> Outcome:
    """Return the outcome with the number of files that are gone, if it has noticeably fewer than the backup before.

    If the archives' lists cannot be read, a person has to look: the outcome becomes suspect.
    """
    made = record_of(outcome, "backup")
    before = None if outcome.failed or is_log(outcome.source) else predecessor(made, found.records)
    listed = {(archive.name, archive.id) for archive in found.listing.archives}
    if before is None or (before.archive, before.archive_id) not in listed or not outcome.archive:
        return outcome
    fewer = has_fewer(made, found.records)
    earlier, files, since = str(before.archive), int(before.details["files"]), before.time - SETTLED
    try:
        repository = session.repository(app, Side.OPERATOR)
        counted = session.patiently(lambda: gone(repository, earlier, str(outcome.archive), files, since))
    except CloudbackupError as error:
        what = "fewer files than" if fewer else "much that was not"
        return _odd(outcome, f"{what} in {earlier}, and which files are gone could not be looked up: {error.what}")
    return replace(outcome, details={**outcome.details, **replace(counted, new=not fewer).details})


def _odd(outcome: Outcome, *odd: str) -> Outcome:
    details = {**outcome.details, SUSPECT: [*outcome.details.get(SUSPECT, ()), *odd]}
    return replace(outcome, details=details, said=(*odd, *outcome.said)).judged


def _compared(outcome: Outcome, found: Anew) -> Outcome:
    ids, state = tuple(archive.id for archive in found.listing.archives), found.state
    details = {**outcome.details, "transaction": state.transaction, "objects": state.objects}
    details["config_sha256"] = state.config_sha256
    if found.doubts:
        details[DOUBTS] = [doubt.text for doubt in found.doubts]
    if not is_log(outcome.source):  # logs come every few minutes, and each of their records would hold the ids of all
        details["archive_ids"] = ids
    if not encryption.is_encrypted(found.listing.encryption):
        said = (encryption.fault(outcome.app, found.listing.encryption).removeprefix(f"{outcome.app}: "),)
        return replace(outcome, status="failed", said=(*said, encryption.remedy(outcome.app)), details=details)
    if outcome.archive_id is None or outcome.archive_id in ids:
        return replace(outcome, details=details)
    said = (f"the repository does not list {outcome.archive}, which borg said that it made",)
    return replace(outcome, status="failed", said=said, details=details)


def _doubted(outcome: Outcome, why: str) -> Outcome:
    """Return the outcome with the warning first, since the record keeps one line."""
    return outcome if outcome.failed else replace(outcome.no_better_than("warning"), said=(why, *outcome.said))


def alarmed(outcome: Outcome, reported: set[str]) -> Outcome:
    """Return the outcome with a warning about repository anomalies that are not yet in `reported`; adds them to it.

    The warning stays out of the record's error: the report shows that as long as the archive is the newest, even after
    everything is repaired.
    """
    new = [text for text in outcome.details.get(DOUBTS, ()) if text not in reported]
    if not new:
        return outcome
    reported.update(new)
    what = f"the repository looks wrong: {'; '.join(new)}; `inv app.check --app {outcome.app}` tells more"
    return outcome.no_better_than("warning", what)


def lowered(outcome: Outcome, choice: Choice) -> Outcome:
    """Return the outcome of a restore, no better than its archive: incomplete, or with warnings."""
    status: Status = "incomplete" if choice.verdict.left_out else "warning" if choice.said else "ok"
    return outcome.no_better_than(status, *choice.said)


def recorded(session: Session, app: App, outcomes: Sequence[Outcome], action: str = "backup") -> list[Outcome]:
    """Write a record of each outcome. If that fails, the outcome gets a warning; the backup stands."""
    storage = app.storage if app.label != app.name else ""
    return [replace(_recorded(session, app, outcome, action), storage=storage) for outcome in outcomes]


def _recorded(session: Session, app: App, outcome: Outcome, action: str) -> Outcome:
    if outcome.unrecorded:
        return outcome
    try:
        with foreseen(app.name):
            record = record_of(outcome, UNCHANGED if outcome.unchanged else action)
            session.write_record(app, record, patient=not outcome.transient)
    except CloudbackupError as error:
        why = f"no record could be written: {error.what}"
        return outcome.no_better_than("warning", why)
    return outcome


def record_of(outcome: Outcome, action: str) -> Record:
    """Convert an outcome to a record."""
    return Record(
        app=outcome.app,
        action=action,
        source=outcome.source or None,
        time=outcome.began,
        outcome=outcome.status,
        duration_seconds=round(outcome.seconds, 1),
        error=outcome.said[0] if outcome.said else None,
        archive=outcome.archive,
        archive_id=outcome.archive_id,
        size=outcome.size,
        stored=outcome.stored,
        operator=operator_name(),
    ).with_details(outcome.details)
