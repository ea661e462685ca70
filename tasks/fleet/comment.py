"""The verdict in the archive's own comment, so that an incomplete or suspect archive shows it without the records."""

from dataclasses import replace

from tasks.borg.client.list import look_up
from tasks.borg.client.recreate import annotate
from tasks.errors import CloudbackupError
from tasks.fleet.recorder import confirmed
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.records.verdict import verdict_of
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.storage.repository import Side


def commented(session: Session, app: App, outcome: Outcome) -> Outcome:
    """Write the verdict into the archive's comment; return the outcome with the archive's new id.

    An archive whose verdict is ok is not changed. Afterwards the repository is listed again, since a record must hold
    the current id. If the comment cannot be written, the outcome says so; nothing is undone.
    """
    verdict = verdict_of(Record(app.name, "backup", outcome.began, outcome.status, details=outcome.details))
    if outcome.archive is None or outcome.failed or verdict.status == "ok":
        return outcome
    try:
        new: str | None = annotate(session.repository(app, Side.HOST), outcome.archive, verdict)
    except CloudbackupError as error:
        said = f"the archive's comment does not say so: {error.what}"
        outcome = replace(outcome, said=(*outcome.said, said))
        new = _id(session, app, outcome)
    if new == outcome.archive_id:
        return outcome
    return confirmed(session, app, [replace(outcome, archive_id=new)], judged=True)[0]


def _id(session: Session, app: App, outcome: Outcome) -> str | None:
    """Return the archive's id after an attempt that may have changed it."""
    try:
        found = look_up(session.repository(app, Side.OPERATOR), app.names, outcome.source, outcome.archive or "")
    except CloudbackupError:
        return outcome.archive_id
    return found.id if found else outcome.archive_id
