"""The archives and records of many apps with as little asking as is true.

First one look at all repositories of a storage together (tasks/storage/survey.py); then borg lists those that changed
since they were listed last, and no others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

from tasks.borg.anomalies import Doubt, doubts
from tasks.borg.catalog_cache import NOTHING, Cache, Kept
from tasks.borg.client.list import Listing, archives
from tasks.borg.client.runner import How
from tasks.crash import UnforeseenError, foreseen
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.models import App
from tasks.records.ledger import history, ledger
from tasks.records.record import HISTORY, NEWEST, Records, newest_names
from tasks.remote.running import HostError
from tasks.run.parallel import over_apps
from tasks.run.session import Session
from tasks.storage.base import Storage
from tasks.storage.repository import Side
from tasks.storage.state import State
from tasks.storage.survey import Choose, Mark, Seen

PARALLEL = 8  # repositories listed at a time
# A backup that runs holds the lock for all its time: wait for a short one, and say so of a long one.
PATIENCE = How(lock_wait=10, timeout=120)

Key = tuple[str, str]  # storage and app


@dataclass(frozen=True)
class Found:
    """What is known of one app so far. `error` is why its storage could not be looked at."""

    app: App
    address: str = ""
    kept: Kept = NOTHING
    seen: Seen | None = None
    error: CloudbackupError | None = None
    listing: Listing | None = None
    state: State | None = None
    listing_error: str | None = None

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return key(self.app)

    @property
    def mark(self) -> Mark | None:
        """The repository's mark as it was at the look."""
        return self.seen.mark if self.seen else None


def key(app: App) -> Key:
    """Return what tells an app's repository from all others."""
    return app.storage, app.name


def groups(session: Session, apps: Sequence[App]) -> list[list[App]]:
    """Return the apps in groups that one look can see together."""

    def place(app: App) -> tuple[str, str]:
        try:
            return app.storage, session.storage_of(app).neighbourhood(app)
        except CloudbackupError:  # told for each app by the look
            return app.storage, ""

    return [list(group) for _, group in groupby(sorted(apps, key=place), place)]


def _address(storage: Storage, app: App) -> str:
    """Return what must be the same for a listing to hold: where the repository is, and whence its passphrase comes."""
    return f"{storage.url(app)} {app.passphrase.model_dump_json(exclude_none=True, warnings=False)}"


def look(session: Session, group: Sequence[App], cache: Cache, newest: int) -> list[Found]:
    """Return what one look at a group of apps shows, with the listings that still hold.

    Of the records `newest` of each kind are read, and older ones given when they are kept. Raises InterruptedRunError.
    """
    try:
        with foreseen():
            storage = session.storage_of(group[0])
            found = [Found(app, _address(storage, app)) for app in group]
            found = [replace(one, kept=cache.load(storage.name, one.app.name, one.address)) for one in found]
            known = {one.app.name: one.kept.records for one in found}
            seen = storage.survey(group, known, _choice(known.values(), newest))
            return [_with(one, each) for one, each in zip(found, seen, strict=True)]
    except CloudbackupError as error:
        if isinstance(error, UnforeseenError) and len(group) > 1:  # of one app, perhaps: it must not hide the others
            return [one for app in group for one in look(session, [app], cache, newest)]
        return [Found(app, error=error) for app in group]


def _with(one: Found, seen: Seen) -> Found:
    """Return what is known after a look: what was kept, where nothing has changed."""
    if not one.kept.holds(seen.mark):
        return replace(one, seen=seen)
    return replace(one, seen=seen, listing=one.kept.listing, state=one.kept.state)


def _choice(known: Iterable[Mapping[str, bytes]], newest: int) -> Choose:
    held = {name for records in known for name in records}

    def choose(names: list[str]) -> list[str]:
        recent = set(newest_names(names, newest))
        shown = {name for name in newest_names(names, HISTORY) if name in recent or name in held}
        return sorted(shown | set(history(names)))

    return choose


def complete(session: Session, looks: Sequence[Sequence[Found]], cache: Cache) -> dict[Key, Found]:
    """Return all that was found, with the listings that were missing, and keep what is new.

    Where a storage did not answer at all, one app of it is witness for the others: each would wait as long for nothing.
    Raises InterruptedRunError.
    """
    found = {one.key: one for group in looks for one in group}
    witness_of = {
        one.key: group[0].key for group in looks for one in group[1:] if isinstance(group[0].error, HostError)
    }
    found |= _listed(session, [one for one in found.values() if one.listing is None and one.key not in witness_of])
    rest = [found[each] for each in witness_of]
    lost = [one for one in rest if found[witness_of[one.key]].listing is None]
    found |= _listed(session, [one for one in rest if one not in lost])
    found |= {one.key: replace(one, listing_error=found[witness_of[one.key]].listing_error) for one in lost}
    _keep(session, list(found.values()), cache)
    return found


def _listed(session: Session, found: Sequence[Found]) -> dict[Key, Found]:
    by_key = {one.key: one for one in found}
    listed = over_apps(
        session,
        [one.app for one in found],
        PARALLEL,
        lambda app: _list(session, by_key[key(app)]),
        lambda app, error: replace(by_key[key(app)], listing_error=error.what.removeprefix(f"{app.name}: ")),
    )
    return {one.key: one for one in listed}


def _list(session: Session, one: Found) -> Found:
    one = replace(one, state=_state(session, one.app))
    try:
        repository = session.repository(one.app, Side.OPERATOR)
        # Of a storage that was seen just now, a refused connection is one too many: of a backup that runs beside.
        patient = one.seen is not None and repository.host is session.operator
        listed = partial(archives, repository, how=PATIENCE)
        return replace(one, listing=session.patiently(listed) if patient else listed())
    except CloudbackupError as error:
        return replace(one, listing_error=error.what.removeprefix(f"{one.app.name}: "))


def _state(session: Session, app: App) -> State | None:
    """Return a repository's state, None when it cannot be read: then nothing is said of it."""
    try:
        with foreseen(app.name):
            return session.storage_of(app).state(app)
    except CloudbackupError:
        return None


def _keep(session: Session, found: Sequence[Found], cache: Cache) -> None:
    """Keep what is new. A new listing belongs to a mark only when the mark is still the same after it."""
    new = [one for one in found if one.mark and one.listing and one.listing is not one.kept.listing]
    after = _marks(session, [one.app for one in new])
    for one in found:
        if one.seen is None:
            continue
        records = one.kept.records if isinstance(one.seen.records, AppError) else one.seen.records
        holds = one.listing and (one not in new or after.get(one.key) == one.mark)
        kept = Kept(one.mark, one.listing, one.state, records) if holds else Kept(records=records)
        if kept != one.kept:
            cache.store(one.app.storage, one.app.name, one.address, kept)


def _marks(session: Session, apps: Sequence[App]) -> Mapping[Key, Mark | None]:
    marks: dict[Key, Mark | None] = {}
    for group in groups(session, apps):
        try:
            with foreseen():
                read = session.storage_of(group[0]).marks(group)
        except CloudbackupError:
            continue
        marks |= zip(map(key, group), read, strict=True)
    return marks


@dataclass(frozen=True)
class Anew:
    """One repository as it is just now; `doubts` is what looks wrong in it, none also where that could not be told.

    `records` are those that are known, none where that could not be learnt.
    """

    listing: Listing
    state: State
    doubts: Sequence[Doubt] = ()
    records: Records = field(default_factory=Records)


def looked_anew(session: Session, app: App, how: How, made: Mapping[str, str]) -> Anew:
    """List one repository whatever is kept of it, and keep that for the next report. Raises CloudbackupError.

    `made` are archives that have no record yet, by id, with their names. Nothing looks wrong in a repository that
    changed meanwhile: another operator works on it, and may write what happened later.
    """
    storage = session.storage_of(app)
    before = _marks(session, [app]).get(key(app))
    listing = archives(session.repository(app, Side.OPERATOR), how=how)
    state = storage.state(app)
    cache = Cache(session.inventory)
    kept = cache.load(storage.name, app.name, _address(storage, app))
    seen = _surveyed(session, app, kept.records)
    if before is None or seen is None or seen.mark != before:
        return Anew(listing, state, records=Records.parse(kept.records))
    found, records = _doubted(seen, listing, state, made), kept.records
    if found and (again := _surveyed(session, app, kept.records)):
        # What announced an archive may have gone, between the names and the reading, for the archive's own record.
        seen, found = again, _doubted(again, listing, state, made)
    if not isinstance(seen.records, AppError):
        records = seen.records
    fresh = replace(kept, mark=before, listing=listing, state=state, records=records)
    cache.store(storage.name, app.name, _address(storage, app), fresh)
    return Anew(listing, state, found, Records.parse(records))


def _surveyed(session: Session, app: App, known: Mapping[str, bytes]) -> Seen | None:
    """Return what a look at one app shows; None when its storage cannot be looked at."""
    try:
        return session.storage_of(app).survey((app,), {app.name: known}, _choice([known], NEWEST))[0]
    except CloudbackupError:
        return None


def _doubted(seen: Seen, listing: Listing, state: State, made: Mapping[str, str]) -> list[Doubt]:
    if isinstance(seen.records, AppError):
        return []
    told = Records.parse(seen.records)
    known = ledger(told)
    known = replace(known, made={**known.made, **made})
    return doubts(listing.archives, state, known, datetime.now(UTC)) if told.all else []


def known_records(session: Session, app: App) -> Records:
    """Return the records that a report or a backup on this machine has read, without asking for newer ones."""
    storage = session.storage_of(app)
    return Records.parse(Cache(session.inventory).load(storage.name, app.name, _address(storage, app)).records)


def known_listing(session: Session, app: App) -> Listing | None:
    """Return the listing that a report or a backup on this machine read last, None where none is kept."""
    storage = session.storage_of(app)
    return Cache(session.inventory).load(storage.name, app.name, _address(storage, app)).listing


def last_size(session: Session, app: App, source: str) -> int | None:
    """Return the bytes of the last backup of a source that a report or a backup here knew of; None when none did."""
    saved = (record for record in reversed(known_records(session, app).all) if record.source == source)
    return next((record.size for record in saved if record.action == "backup" and record.size), None)
