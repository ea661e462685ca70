"""What stands before everything that drops archives or frees their space: does the repository look right?

While only pruned or deleted, archives can be brought back; a `compact` is final (tried, borg 1.2.4 and 1.4.5).
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from tasks.borg import naming
from tasks.borg.doubts import CLOCKS_APART, Doubt, doubts, strangers
from tasks.borg.list import Archive, Listing, archives
from tasks.borg.runner import PLAIN, BorgError, How
from tasks.errors import CloudbackupError, RefusedError
from tasks.inventory.models import App
from tasks.storage.ledger import SAVING, Ledger, ledger
from tasks.storage.records import UNCHANGED, Records
from tasks.storage.repository import Repository
from tasks.storage.session import Session
from tasks.storage.state import State

MUST_BE_PROVEN = ("mariadb",)  # a database's archive is worth something only when a server was seen to start on it
PATIENCE = 60.0  # seconds in which the record of a backup that has just ended must come
LOOK = 2.0
YOUNG = timedelta(days=1)
PASSING = ("Lock", "Connection")  # beginnings of borg's names for faults that say nothing of the repository itself


@dataclass(frozen=True)
class Evidence:
    """What is known of one app's repository at one moment."""

    app: App
    listing: Listing
    state: State
    records: Records
    now: datetime

    @cached_property
    def known(self) -> Ledger:
        """What the records know."""
        return ledger(self.records)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """What looks wrong in the repository."""
        broken = [name for name in self.records.broken if name not in self.known.ignored]
        unread = [Doubt(f"the record {name} cannot be read") for name in broken]
        return [*doubts(self.listing.archives, self.state, self.known, self.now), *unread]


def look(session: Session, app: App, repository: Repository, how: How = PLAIN, patience: float = PATIENCE) -> Evidence:
    """Return what is known of an app's repository, `repository` being the operator's side of it.

    A backup that has just ended, of another operator, is given `patience`, in seconds, to write its record. Raises
    RefusedError when the repository cannot be listed, or the records cannot be read, for a fault that does not pass by
    itself; BorgError, HostError, FilesError.
    """
    waited = 0.0
    while True:
        found = _look(session, app, repository, how)
        if waited >= patience or not any(_just_ended(each, found) for each in strangers(*_both(found))):
            return found
        time.sleep(LOOK)
        waited += LOOK


def may_free(found: Evidence, remaining: Collection[str] | None = None, *, force: bool = False) -> tuple[str, ...]:
    """Return the reasons for which nothing should be freed: none, or with `force` those that a person set aside.

    `remaining` are the ids of the archives that would be left; all of them unless given. Raises RefusedError.
    """
    left = {archive.id for archive in found.listing.archives} if remaining is None else set(remaining)
    reasons = tuple(dict.fromkeys([*(doubt.text for doubt in found.doubts), *_stale(found), *_unproven(found, left)]))
    if reasons and not force:
        raise RefusedError(f"{found.app.name}: nothing is freed: {'; '.join(reasons)}", _remedy(found))
    return reasons


def _look(session: Session, app: App, repository: Repository, how: How) -> Evidence:
    """List first, then read the records, then the state: each is at least as new as what it is held against."""
    storage = session.storage_of(app)
    try:
        listing = archives(repository, how=how)
    except BorgError as error:
        if not error.msgid or error.msgid.startswith(PASSING):
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


def _both(found: Evidence) -> tuple[tuple[Archive, ...], Ledger]:
    return found.listing.archives, found.known


def _just_ended(archive: Archive, found: Evidence) -> bool:
    """Tell whether an archive without a record can be of a backup that is about to write it."""
    named = naming.parse(archive.name)
    return (
        named is not None
        and archive.name not in found.known.made.values()
        and abs(archive.start - named.time) <= CLOCKS_APART
        and found.now - YOUNG < archive.start <= found.now + CLOCKS_APART
    )


def _stale(found: Evidence) -> Iterable[str]:
    for source in found.app.sources:
        looks = [each.time for each in found.records.all if (each.action, each.source) == (UNCHANGED, source)]
        newest = max((*looks, *(each.start for each in found.listing.of(found.app.name, source))), default=None)
        if newest is None:
            yield f"there is no archive of {source}"
            continue
        if found.now - newest > found.app.max_age:
            yield f"the newest archive of {source} is late: it is of {newest:%Y-%m-%d %H:%M} UTC"
        tried = [each for each in found.records.all if each.action in SAVING and each.source == source]
        if tried and tried[-1].outcome == "failed":
            yield f"the newest backup of {source} failed"


def _unproven(found: Evidence, left: set[str]) -> Iterable[str]:
    for source in MUST_BE_PROVEN:
        own = {archive.id for archive in found.listing.of(found.app.name, source)}
        if source in found.app.sources and own and not own & left & found.known.proven:
            yield f"no proven backup of {source} would remain"


def _remedy(found: Evidence) -> str:
    name = found.app.name
    if found.doubts:
        return (
            f"look at `inv report --app {name}` and `inv borg.list --app {name}`; `inv borg.rollback --app {name}` "
            "undoes what was done to the repository; --force frees all the same, for good"
        )
    if any(_stale(found)):
        return f"make a good backup first: `inv backup --app {name}`"
    return f"prove one by a restore drill: `inv verify --app {name}`"
