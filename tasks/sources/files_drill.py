"""The drill of an archive of files: read a sample back, and check known files as the inventory says."""

from datetime import UTC, datetime, timedelta

from tasks import units
from tasks.borg import canary, read_back
from tasks.borg.client import archive_name
from tasks.borg.read_back import Window
from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.options import FOLDER
from tasks.records.record import Record
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources.base import Drill
from tasks.sources.kinds import FILES
from tasks.units import many

SHARE_DAYS = 90  # for how many days a file that was read counts as read
DRILLS = 400  # records of drills to read: more than one a day over SHARE_DAYS


def drill(asked: Drill) -> Outcome:
    """Return the outcome of a drill that succeeded. Raises CloudbackupError.

    With `elsewhere`, the files are still read here: the other host gets neither passphrase nor key.
    """
    session, app, repository = asked.choices.session, asked.choices.app, asked.choices.repository
    assert app.files is not None
    asked.step(f"reads {asked.choice.archive.name}")
    name, known, judged = asked.choice.archive.name, app.files.verify, None
    if known.asked:
        folder = asked.folder if asked.elsewhere in (None, session.operator) else FOLDER
        judged = canary.judge(repository, name, known, canary.Place(folder, asked.choice.known, asked.trust))
    windows, since = _read_before(session, app)
    done = read_back.read_back(
        repository, name, read_back.Aim(asked.sample, since, sum(windows[-1]) if windows else 0, asked.share)
    )
    read_share = round(read_back.share([*windows, done.window]), 6)
    where = repository.host.name
    read = f"{done.read:,} of {many(done.files, 'file')} read on {where}, their checksums hold"
    within = f"({units.percent(read_share)} of all files within {SHARE_DAYS} days)"
    return Outcome(
        app=app.name,
        source=FILES.name,
        status="ok",
        began=asked.began,
        seconds=(datetime.now(UTC) - asked.began).total_seconds(),
        size=done.size,
        said=(f"{read} {within}", *((judged.told,) if judged else ())),
        details={
            "where": where,
            "files": done.files,
            "files_read": done.read,
            "changed_read": done.changed,
            "window": list(done.window),
            "read_share": read_share,
            **({"known_files": judged.files, "commands": judged.commands} if judged else {}),
            **({"walls": list(judged.walls)} if judged and judged.commands else {}),
        },
    )


def _read_before(session: Session, app: App) -> tuple[list[Window], datetime | None]:
    """Return the windows that recent drills read, oldest first, and the time of the archive that was proven last."""
    try:
        records = session.storage_of(app).read_records(app, DRILLS, (f"verify-{FILES.name}", "verify")).all
    except AppError:
        records = ()
    proofs = [each for each in records if (each.action, each.source, each.outcome) == ("verify", FILES.name, "ok")]
    recent = datetime.now(UTC) - timedelta(days=SHARE_DAYS)
    windows = [window for each in proofs if each.time >= recent for window in _window(each)]
    named = archive_name.parse(proofs[-1].archive or "") if proofs else None
    return windows, named.time if named else None


def _window(record: Record) -> list[Window]:
    """Return the window of files that a drill read, from its record; empty if the record has none."""
    values = record.details.get("window")
    if isinstance(values, list) and len(values) == 2 and all(type(each) is int and each >= 0 for each in values):
        return [(values[0], values[1])]
    return []
