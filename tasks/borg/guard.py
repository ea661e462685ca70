"""The guard before everything that drops archives or frees their space: does the repository look right?

Archives that were only pruned or deleted can be brought back; a `compact` is final (tried, borg 1.2.4 and 1.4.5).
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tasks.borg.anomalies import AT_WORK, CLOCKS_APART, Doubt, strangers
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive, archives
from tasks.borg.client.runner import PLAIN, BorgError, How
from tasks.borg.refusals import ACCEPT, FORCE, REFUSALS, Evidence, refusals
from tasks.errors import CloudbackupError, RefusedError
from tasks.inventory.models import App
from tasks.records.ledger import REMOVING, TOKEN
from tasks.run.session import Session
from tasks.storage.repository import Repository

LOOK = 2.0
YOUNG = timedelta(days=1)
PASSING = ("Lock", "Connection")  # prefixes of borg's msgids for faults that say nothing about the repository itself


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for the record of what has just ended: of a backup, and with `removals` of a removal."""

    seconds: float = 60.0
    removals: bool = False


PATIENT = Patience()
AT_ONCE = Patience(0)


def look(
    session: Session,
    app: App,
    repository: Repository,
    how: How = PLAIN,
    patience: Patience | None = None,
) -> Evidence:
    """Return what is known of an app's repository; `repository` is the operator's side of it.

    Waits with `patience`, by default PATIENT, for the record of another operator's backup that has just ended. Raises
    RefusedError if the repository cannot be listed or the records cannot be read because of a lasting fault; BorgError,
    HostError, FilesError.
    """
    patience, waited = patience or PATIENT, 0.0
    while True:
        found = _look(session, app, repository, how)
        new = strangers(found.listing.archives, found.known)
        removals = patience.removals and _at_work(found)
        if waited >= patience.seconds or not (removals or any(_just_ended(each, found) for each in new)):
            return found
        time.sleep(LOOK)
        waited += LOOK


def may_free(
    found: Evidence,
    remaining: Collection[str] | None = None,
    *,
    force: bool = False,
    told: Collection[Doubt] | None = None,
) -> tuple[Doubt, ...]:
    """Return the reasons against freeing anything: empty, or with `force` those that a person overrides.

    `remaining` are the ids of the archives that would be left; all of them by default. If a person was asked earlier,
    `told` are the reasons that they were shown: `force` overrides no others. Raises RefusedError.
    """
    reasons = refusals(found, found.ids if remaining is None else remaining)
    if refused := [each for each in reasons if not (force and _may_be_forced(each, told))]:
        raise RefusedError(
            f"{found.app.name}: nothing is freed: {'; '.join(each.text for each in refused)}",
            remedy(found.app, refused),
        )
    return tuple(reasons)


def _may_be_forced(reason: Doubt, told: Collection[Doubt] | None) -> bool:
    if FORCE not in REFUSALS[reason.kind].ways:
        return False
    return told is None or any(reason.within(each) for each in told)


def remedy(app: App, refused: Collection[Doubt]) -> str:
    """Return the remedy for some reasons: what resolves them, and what overrides all of them, if anything does."""
    kinds = [REFUSALS[kind] for kind in dict.fromkeys(each.kind for each in refused)]
    ways = list(dict.fromkeys(kind.remedy.format(app=app.name) for kind in kinds))
    if all(ACCEPT in kind.ways for kind in kinds):
        ways.append(f'`inv report.accept --app {app.name} --reason "..."` takes it as right')
    if all(FORCE in kind.ways for kind in kinds):
        ways.append("--force frees all the same, for good")
    return "; ".join(ways)


def _look(session: Session, app: App, repository: Repository, how: How) -> Evidence:
    """List first, then read the records, then the state: each is at least as new as what it is compared with."""
    storage = session.storage_of(app)
    try:
        listing = archives(repository, how=how)
    except BorgError as error:
        if passing(error):
            raise
        what = error.what.removeprefix(f"{app.name}: ")
        raise RefusedError(
            f"{app.name}: nothing is freed: the archives cannot be listed: {what}", error.remedy
        ) from error
    try:
        records = storage.read_history(app)
    except CloudbackupError as error:
        if error.transient:
            raise
        remedy = "they tell which archives should be there: mend that first"
        raise RefusedError(f"{app.name}: nothing is freed: the records cannot be read: {error.what}", remedy) from error
    return Evidence(app, listing, storage.state(app), records, datetime.now(UTC))


def passing(error: CloudbackupError) -> bool:
    """Return whether a fault in listing the archives says nothing about the repository itself."""
    return not isinstance(error, BorgError) or not error.msgid or error.msgid.startswith(PASSING)


def _just_ended(archive: Archive, found: Evidence) -> bool:
    """Return whether an archive without a record may belong to a backup that is about to write it."""
    named = archive_name.parse(archive.name)
    return (
        named is not None
        and archive.name not in found.known.made.values()
        and abs(archive.start - named.time) <= CLOCKS_APART
        and found.now - YOUNG < archive.start <= found.now + CLOCKS_APART
    )


def _at_work(found: Evidence) -> bool:
    """Return whether somebody recently announced a removal and has not recorded its result."""
    return any(
        found.now - AT_WORK < record.time and record.details.get("of") in REMOVING
        for record in found.known.unfinished
        if TOKEN in record.details
    )
