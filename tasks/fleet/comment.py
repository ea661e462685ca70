"""An archive that is incomplete or suspect says so itself: in its comment, for whoever has no records."""

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
    """Return the outcome of a backup with the id that its archive has once its comment tells the verdict.

    An archive whose verdict is ok stays as it is. The repository is listed again afterwards, for a record must hold
    what is there now. A comment that cannot be written is said, and undoes nothing.
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
    """Return the archive's id after a try that may have changed it."""
    try:
        found = look_up(session.repository(app, Side.OPERATOR), app.name, outcome.source, outcome.archive or "")
    except CloudbackupError:
        return outcome.archive_id
    return found.id if found else outcome.archive_id
